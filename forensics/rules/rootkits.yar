/* Libraries and modules that make the system lie. Own rules, Apache-2.0. */

rule rootkit_preload_library
{
    meta:
        title = "Library that intercepts directory or process listings"
        severity = "critical"
        confidence = "high"
        attack = "T1574.006, T1014"
        why = "It takes the place of library functions, finds the real ones with dlsym(RTLD_NEXT), and filters what they return."
        benign = "fakeroot, tracing and sandbox libraries intercept similar functions; they do not read /proc names to hide them."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $next = "dlsym" fullword
        $readdir = "readdir" fullword
        $readdir64 = "readdir64" fullword
        $open = "open" fullword
        $fopen = "fopen" fullword
        $fopen64 = "fopen64" fullword
        $access = "access" fullword
        $xstat = /\b_?_?(l|f)?x?stat(64)?\b/
        $unlinkat = "unlinkat" fullword
        $execve = "execve" fullword
        $accept = "accept" fullword
        $proc_fd = "/proc/self/fd/%d" ascii
        $proc_stat = "/proc/%s/stat" ascii
        $proc_cmdline = "/proc/%s/cmdline" ascii
        $proc_comm = "/proc/%s/comm" ascii
        $proc_net = "/proc/net/tcp" ascii
        $preload = "ld.so.preload" ascii
        $hide = /\b(hide|hidden|invisible|conceal|magic)_?(me|file|process|proc|pid|gid|port|string|prefix|name)s?\b/ nocase
        $process_to_filter = "process_to_filter" ascii
        $fakeroot = "FAKEROOT" ascii
        $sandbox = "SANDBOX" ascii
        $elf_library_marker = ".gnu.version_d"
    condition:
        uint32(0) == 0x464c457f and uint16(16) == 3 and filesize < 2MB and $next and not $fakeroot and not $sandbox and
        (
            (($readdir or $readdir64) and ($proc_fd or $proc_stat or $proc_cmdline or $proc_comm or $proc_net or $hide or $preload or $process_to_filter)) or
            (($fopen or $fopen64 or $open) and ($proc_net and ($hide or $preload or $readdir))) or
            ($preload and ($execve or $unlinkat or $access or $xstat) and ($hide or $proc_net or $accept)) or
            ($process_to_filter)
        ) and not $elf_library_marker
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
        $log = /(\/tmp\/|\/var\/tmp\/|\/dev\/shm\/|\/var\/log\/\.|\/usr\/\S{1,40}\/\.)[\w.\-]{2,40}/ ascii
        $format = /%s[: ,|]{1,3}%s/ ascii
        $write = /\b(fopen|fprintf|fwrite|fputs)\b/ ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 1MB and $pam and $token and $log and ($format or $write)
}
