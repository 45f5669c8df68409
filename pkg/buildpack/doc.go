// Package buildpack holds what a Cloud Native Buildpack is and how it becomes
// an image: the descriptors (buildpack.toml, extension.toml, package.toml), the
// folder of each platform, the labels and the packaged image itself.
//
// It is pure: it reads tree.Tree values and images that others have opened, and
// uses no file, network, clock or environment. The same input gives the same
// bytes, whatever the machine and the number of jobs.
package buildpack
