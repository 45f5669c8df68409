// Command hello-go is a buildpack in one Go program: compiled for a platform
// it is both bin/detect and bin/build, and the name it is called by decides.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "detect":
	case "build":
		fmt.Printf("-----> Hello from Go on %s/%s\n", runtime.GOOS, runtime.GOARCH)
	default:
		fmt.Fprintln(os.Stderr, "hello-go is bin/detect or bin/build of a buildpack")
		os.Exit(2)
	}
}
