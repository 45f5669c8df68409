// Command bench runs multipack and the peers that it finds on PATH on the same
// inputs against the same registry, in turn and in several rounds, and prints
// what each of them took: wall time, CPU time, peak memory, requests and bytes.
//
//	go run ./bench [-rounds N] [-only a,e] [-peers pack,crane|none] [-scale F] [-o table|json]
//
// How it measures:
//
//   - The registry is CNCF distribution with its filesystem driver, on loopback,
//     in this process. It counts requests in its handler and bytes on its
//     connections, headers included.
//   - Every run has repository names, a home folder and a working folder of its
//     own, and the registry forgets what it wrote, so that no run finds what
//     another one left behind. Images to copy are made anew for each run:
//     podman and skopeo, run as root, remember across runs where blobs are.
//   - Within a round every tool has its turn before the next round begins, so
//     that a slow minute of the machine falls on all of them.
//   - Input files and the tools themselves are read once beforehand: what is
//     measured is a warm page cache.
//   - Commands are started by the small program in bench/measure, see there.
//   - What a tool wrote is checked after it ran: an index that lacks entries or
//     blobs is a failure, however quick it was.
//
// Requests and bytes of a row are those of the round with the median wall time.
// The ratios compare medians with multipack's first row of the same step.
package main
