// Package dependency finds what a package is made of: the locators of
// package.toml's [[dependencies]] become modules, one set for each platform that
// is built for. It knows every kind of locator: references of every medium,
// folders and archives, and ids of a CNB registry's index.
//
// Nothing of a dependency that is packaged already is read but its manifest and
// config: its layers are handed on as the objects that they are.
package dependency
