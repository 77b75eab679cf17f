/* Libraries and modules that make the system lie. Own rules, Apache-2.0. */

import "elf"

rule rootkit_preload_library
{
    meta:
        title = "Library that takes the place of directory listing functions"
        severity = "critical"
        confidence = "high"
        attack = "T1574.006, T1014"
        why = "It defines the C library's own functions, finds the real ones with dlsym, and filters what they return."
        benign = "Sanitizers and fakeroot intercept the same functions (left out); file system test tools."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $fakeroot = "fakeroot" nocase
        $sanitizer = "__sanitizer"
        $sandbox = "SANDBOX_ON"
        $profiler = "__collector_"
    condition:
        uint32(0) == 0x464c457f and uint16(16) == 3 and filesize < 2MB and not any of them and
        for any symbol in elf.dynsym : (symbol.shndx == 0 and (symbol.name == "dlsym" or symbol.name == "dlvsym")) and
        for any symbol in elf.dynsym : (symbol.shndx != 0 and (symbol.name == "readdir" or symbol.name == "readdir64" or symbol.name == "getdents64" or symbol.name == "readdir_r" or symbol.name == "scandir"))
}

rule rootkit_preload_hider
{
    meta:
        title = "Library that intercepts file access and knows what to hide"
        severity = "critical"
        confidence = "medium"
        attack = "T1574.006, T1014"
        why = "It defines functions that open or test files, finds the real ones with dlsym, and names tables of the kernel to filter."
        benign = "Sandboxing and tracing libraries."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $net = "/proc/net/tcp"
        $preload = "ld.so.preload"
        $shell = /\/bin\/(ba)?sh\x00/
        $sanitizer = "__sanitizer"
        $fakeroot = "fakeroot" nocase
    condition:
        uint32(0) == 0x464c457f and uint16(16) == 3 and filesize < 2MB and not $sanitizer and not $fakeroot and
        ($net or $preload or $shell) and
        for any symbol in elf.dynsym : (symbol.shndx == 0 and (symbol.name == "dlsym" or symbol.name == "dlvsym")) and
        for any symbol in elf.dynsym : (symbol.shndx != 0 and (symbol.name == "fopen" or symbol.name == "fopen64" or symbol.name == "open" or symbol.name == "open64" or symbol.name == "openat" or symbol.name == "stat" or symbol.name == "lstat" or symbol.name == "__xstat" or symbol.name == "access" or symbol.name == "accept" or symbol.name == "execve" or symbol.name == "write" or symbol.name == "unlinkat" or symbol.name == "pam_authenticate"))
}

rule rootkit_preload_source
{
    meta:
        title = "Source of a library that hides files or processes"
        severity = "high"
        confidence = "high"
        attack = "T1574.006, T1014"
        why = "Replaces readdir or fopen through RTLD_NEXT and compares names to hide."
        benign = "Teaching material on LD_PRELOAD."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $next = "RTLD_NEXT"
        $function = /struct\s+dirent(64)?\s*\*\s*readdir(64)?\s*\(/
        $compare = /(strcmp|strstr|strncmp|memcmp)\s*\([^;\n]{0,80}(d_name|process_name|filename|pathname)/
    condition:
        filesize < 512KB and all of them
}

rule rootkit_kernel_module
{
    meta:
        title = "Kernel module that hides itself or hooks system calls"
        severity = "critical"
        confidence = "medium"
        attack = "T1014, T1547.006"
        why = "A module in a container has no honest use; this one handles the system call table or hides its own entry."
        benign = "Tracing modules found in driver packages."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $modinfo = "vermagic=" ascii
        $table = "sys_call_table" ascii
        $lookup = "kallsyms_lookup_name" ascii
        $hide = /\b(hide|unhide|hook|unhook)_?(module|pid|proc|file|tcp|getdents|kill)\w{0,12}\b/ nocase ascii
        $getdents = /\b(hook|orig|hacked|fake|my|new)_(sys_)?(getdents(64)?|tcp4_seq_show|kill|filldir)\b/ ascii
        $cr0 = "write_cr0" ascii
        $usermode = "call_usermodehelper" ascii
        $tcp = "/dev/tcp/" ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 5MB and $modinfo and ((2 of ($table, $lookup, $hide, $getdents, $cr0)) or $getdents or ($usermode and $tcp))
}

rule credential_hook
{
    meta:
        title = "Log-in module that records passwords or accepts a fixed one"
        severity = "critical"
        confidence = "medium"
        attack = "T1556.003, T1056"
        why = "A PAM module that writes what users type, or compares it with its own word, is a back door."
        benign = "Debugging builds of a PAM module."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $pam = "pam_sm_authenticate" ascii
        $token = /pam_get_(authtok|item|user)/ ascii
        $log = /(\/tmp\/|\/var\/tmp\/|\/dev\/shm\/|\/var\/(log|lib|run)\/\.|\/usr\/(share|include|lib|bin|sbin|games)\/\.)[\w.\-]{2,40}/ ascii
        $format = /%s[: ,|]{1,3}%s/ ascii
        $write = /\b(fopen|fprintf|fwrite|fputs)\b/ ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 1MB and $pam and $token and $log and ($format or $write)
}
