package lint

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/multipack/multipack/pkg/platform"
)

// The formats of executables.
const (
	formatELF   = "ELF"
	formatPE    = "PE"
	formatMachO = "Mach-O"
)

// executable is what the head of a file says about the machine it is for.
type executable struct {
	format string
	// systems are the operating systems that could run it; empty is any that
	// uses the format.
	systems []string
	// arches are the architectures, several for a universal Mach-O file; a
	// machine that has no name here is in the list as "machine 0x…".
	arches []string
}

// identify reads the header of an executable; false for every other file. The
// heads are read by hand because the debug packages want the whole file.
func identify(head []byte) (executable, bool) {
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return identifyELF(head)
	case bytes.HasPrefix(head, []byte("MZ")):
		return identifyPE(head)
	}
	return identifyMachO(head)
}

var elfArches = map[elf.Machine]string{
	elf.EM_386: "386", elf.EM_X86_64: "amd64", elf.EM_ARM: "arm", elf.EM_AARCH64: "arm64",
	elf.EM_S390: "s390x", elf.EM_RISCV: "riscv64", elf.EM_LOONGARCH: "loong64",
}

func identifyELF(head []byte) (executable, bool) {
	if len(head) < 20 {
		return executable{}, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	big := elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB
	if big {
		order = binary.BigEndian
	}
	wide := elf.Class(head[elf.EI_CLASS]) == elf.ELFCLASS64
	machine := elf.Machine(order.Uint16(head[18:]))
	out := executable{format: formatELF}
	switch elf.OSABI(head[elf.EI_OSABI]) {
	case elf.ELFOSABI_LINUX:
		out.systems = []string{"linux", "android"}
	case elf.ELFOSABI_FREEBSD:
		out.systems = []string{"freebsd"}
	case elf.ELFOSABI_NETBSD:
		out.systems = []string{"netbsd"}
	case elf.ELFOSABI_OPENBSD:
		out.systems = []string{"openbsd"}
	case elf.ELFOSABI_SOLARIS:
		out.systems = []string{"solaris", "illumos"}
	}
	arch, ok := elfArches[machine]
	switch machine {
	case elf.EM_MIPS, elf.EM_MIPS_RS3_LE:
		arch, ok = pick(wide, "mips64", "mips")+pick(big, "", "le"), true
	case elf.EM_PPC64:
		arch, ok = "ppc64"+pick(big, "", "le"), true
	}
	if !ok {
		arch = fmt.Sprintf("machine %#x", uint16(machine))
	}
	out.arches = []string{arch}
	return out, true
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

var peArches = map[uint16]string{
	pe.IMAGE_FILE_MACHINE_I386: "386", pe.IMAGE_FILE_MACHINE_AMD64: "amd64",
	pe.IMAGE_FILE_MACHINE_ARM: "arm", pe.IMAGE_FILE_MACHINE_ARMNT: "arm", pe.IMAGE_FILE_MACHINE_ARM64: "arm64",
}

// identifyPE follows the offset at 0x3c to the signature "PE\0\0" and the machine.
func identifyPE(head []byte) (executable, bool) {
	if len(head) < 0x40 {
		return executable{}, false
	}
	at := int64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+6 > int64(len(head)) || !bytes.Equal(head[at:at+4], []byte("PE\x00\x00")) {
		return executable{}, false
	}
	machine := binary.LittleEndian.Uint16(head[at+4:])
	arch, ok := peArches[machine]
	if !ok {
		arch = fmt.Sprintf("machine %#x", machine)
	}
	return executable{format: formatPE, systems: []string{"windows"}, arches: []string{arch}}, true
}

var machoArches = map[macho.Cpu]string{
	macho.Cpu386: "386", macho.CpuAmd64: "amd64", macho.CpuArm: "arm", macho.CpuArm64: "arm64",
	macho.CpuPpc: "ppc", macho.CpuPpc64: "ppc64",
}

// maxFat bounds the architectures of a universal file. A Java class file begins
// with the same four bytes; its version stands where the number does, and is larger.
const maxFat = 30

func identifyMachO(head []byte) (executable, bool) {
	if len(head) < 8 {
		return executable{}, false
	}
	out := executable{format: formatMachO, systems: []string{"darwin", "ios"}}
	var order binary.ByteOrder
	switch magic := binary.BigEndian.Uint32(head); {
	case magic == macho.MagicFat:
		n := int(binary.BigEndian.Uint32(head[4:]))
		if n <= 0 || n > maxFat || len(head) < 8+n*20 {
			return executable{}, false
		}
		for i := range n {
			out.arches = append(out.arches, machoArch(macho.Cpu(binary.BigEndian.Uint32(head[8+i*20:]))))
		}
		return out, true
	case magic == macho.Magic32, magic == macho.Magic64:
		order = binary.BigEndian
	default:
		if magic := binary.LittleEndian.Uint32(head); magic != macho.Magic32 && magic != macho.Magic64 {
			return executable{}, false
		}
		order = binary.LittleEndian
	}
	out.arches = []string{machoArch(macho.Cpu(order.Uint32(head[4:])))}
	return out, true
}

func machoArch(cpu macho.Cpu) string {
	if arch, ok := machoArches[cpu]; ok {
		return arch
	}
	return fmt.Sprintf("machine %#x", uint32(cpu))
}

// notELF are the systems whose programs have another format.
var notELF = []string{"windows", "darwin", "ios", "aix", "js", "wasip1", "plan9"}

// mismatch says why the executable does not run on a platform; "" when nothing
// speaks against it. What the platform leaves out fits.
func (b executable) mismatch(want platform.Platform) string {
	wrongOS := want.OS != "" && (len(b.systems) > 0 && !slices.Contains(b.systems, want.OS) ||
		b.format == formatELF && slices.Contains(notELF, want.OS))
	wrongArch := want.Arch != "" && !slices.Contains(b.arches, want.Arch)
	if !wrongOS && !wrongArch {
		return ""
	}
	return fmt.Sprintf("this %s file is for %s, not for %s", b.format, b.describe(), platform.Platform{OS: want.OS, Arch: want.Arch})
}

func (b executable) describe() string {
	if len(b.systems) > 0 {
		return b.systems[0] + "/" + strings.Join(b.arches, "+")
	}
	return strings.Join(b.arches, "+")
}
