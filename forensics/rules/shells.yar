/* Reverse and bind shells, droppers, and what hides commands. Own rules, Apache-2.0. */

rule reverse_shell_script
{
    meta:
        title = "Script that opens a shell over the network"
        severity = "critical"
        confidence = "high"
        attack = "T1059.004, T1095"
        why = "Connects a shell's input and output to a network connection."
        benign = "Manuals and teaching material; security tools' own templates."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $bash_tcp = /(ba|z|k|a|da)?sh\s+(-\w+\s+)?[^\n]{0,40}[<>]&?\s{0,4}\/dev\/(tcp|udp)\/[\w.$:{}\-]{3,80}\/[\w$]{1,20}/
        $exec_tcp = /exec\s+\d{0,3}<>\s?\/dev\/(tcp|udp)\/[\w.$:{}\-]{3,80}\/[\w$]{1,20}/
        $tcp_dup = /\/dev\/(tcp|udp)\/[\w.$:{}\-]{3,80}\/[\w$]{1,20}[^\n]{0,40}(0>&1|<&\d|>&\d)/
        $nc_exec = /\b(nc|ncat|netcat|nc\.traditional|nc\.openbsd)\s[^\n|;]{0,100}\s(-[a-z]{0,6}[ec]|--exec|--sh-exec)\s{1,4}["']?\/?(usr\/)?(bin\/)?(ba|da|a|z)?sh\b/
        $mkfifo = /mkfifo\s[^\n]{1,120}[\s\S]{0,120}\b(sh|bash)\s+-i\b[\s\S]{0,80}\b(nc|ncat|netcat|telnet|openssl\s+s_client)\b/
        $fifo_pipe = /(mkfifo|mknod)\s[\s\S]{1,200}\b(nc|ncat|netcat|telnet|s_client)\b[^\n]{0,100}\|\s*(\/bin\/)?(ba)?sh\b/
        $socat = /socat\s[^\n]{0,120}(exec|system):["']?[^\n]{0,30}sh\b[^\n]{0,80}(tcp|openssl|udp)[46]?(-connect|-listen)?:/ nocase
        $socat_reverse = /socat\s[^\n]{0,120}(tcp|openssl|udp)[46]?(-connect|-listen)?:[^\n]{0,120}(exec|system):/ nocase
        $python_dup = /socket\.socket[\s\S]{0,400}\.connect\s*\(\s*\([\s\S]{0,300}(os\.)?dup2\s*\([\s\S]{0,250}(\/bin\/|pty\.spawn|subprocess|os\.exec|os\.system)/
        $python_loop = /socket\.socket[\s\S]{0,400}\.connect\s*\(\s*\([\s\S]{0,500}\.recv\s*\([\s\S]{0,400}(subprocess\.(Popen|run|check_output|getoutput|call)|os\.popen|os\.system)\s*\([\s\S]{0,500}\.send(all)?\s*\(/
        $python_loop_short = /socket\.socket[\s\S]{0,400}\.connect\s*\(\s*\([\s\S]{0,300}\.recv\s*\([\s\S]{0,200}\.send(all)?\s*\(\s*(subprocess\.\w{3,14}|os\.popen)\s*\(/
        $perl = /use\s+Socket[\s\S]{0,500}open\s*\(?\s*STDIN\s*,\s*["']>&[\s\S]{0,250}(exec|system)/
        $perl_io = /IO::Socket::INET[\s\S]{0,400}(->fdopen\s*\(|STDIN->|open\s*\(?\s*STD)[\s\S]{0,300}(exec|system|\$~)/
        $php = /fsockopen\s*\(\s*["'$][\s\S]{1,300}(proc_open|shell_exec|passthru|popen|system|exec)\s*\(/
        $ruby = /TCPSocket\.(new|open)[\s\S]{0,200}(exec\s+|IO\.popen|spawn)[\s\S]{0,100}sh/
        $node = /net\.(connect|Socket|createConnection)[\s\S]{0,400}(spawn|exec)\s*\(\s*["']\/?(bin\/)?(ba)?sh["'][\s\S]{0,400}\.pipe\s*\(/
        $node_reverse = /(spawn|exec)\s*\(\s*["']\/?(bin\/)?(ba)?sh["'][\s\S]{0,300}net\.(connect|Socket|createConnection)[\s\S]{0,400}\.pipe\s*\(/
        $awk = /\/inet\/(tcp|udp)\/\d+\/[\s\S]{0,300}getline[\s\S]{0,200}\|&?/
        $lua = /require\s*\(?\s*["']socket["'][\s\S]{0,300}:connect\s*\([\s\S]{0,300}(io\.popen|os\.execute)/
    condition:
        filesize < 1MB and uint32(0) != 0x464c457f and any of them
}

rule reverse_shell_elf
{
    meta:
        title = "Small program that connects and becomes a shell"
        severity = "high"
        confidence = "medium"
        attack = "T1059.004, T1095"
        why = "A tiny program with socket, connect, dup2 and a shell's name does nothing else."
        benign = "Super-servers (inetd) and remote shells of old."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $connect = "connect" fullword
        $listen = "listen" fullword
        $socket = "socket" fullword
        $dup = "dup2" fullword
        $exec = /\bexec(ve|l|lp|v|vp|le)\b/
        $shell = /\/bin\/(ba|da)?sh\x00/
        $address = "inet_addr" fullword
        $pton = "inet_pton" fullword
        $htons = "htons" fullword
    condition:
        uint32(0) == 0x464c457f and filesize < 60KB and $socket and $dup and $exec and $shell and ($connect or $listen) and ($address or $pton or $htons)
}

rule shellcode_elf_loader
{
    meta:
        title = "Headers-only program that carries code to connect or to load more"
        severity = "critical"
        confidence = "medium"
        attack = "T1105, T1620"
        why = "An ELF file of one segment without sections that calls socket and connect directly is a loader of an attack kit."
        benign = "Demonstrations of minimal programs."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $x64_socket = { 6a 29 58 [0-8] (6a 02 5f | 99 6a 02) }
        $x64_socket2 = { b0 29 }
        $x64_connect = { 6a 2a 58 [0-12] 0f 05 }
        $x64_mmap = { 6a 09 58 [0-24] 0f 05 }
        $x86_socketcall = { 6a 66 58 [0-12] cd 80 }
        $x86_socketcall2 = { b0 66 [0-12] cd 80 }
        $sockaddr = { 02 00 ?? ?? ?? ?? ?? ?? [0-8] (51 | 50 | 56 | 68) }
    condition:
        uint32(0) == 0x464c457f and filesize < 4KB and (uint16(0x3c) == 0 or uint16(0x30) == 0) and (($x64_connect and ($x64_socket or $x64_socket2 or $x64_mmap)) or (any of ($x86_*) and $sockaddr))
}

rule dropper_script
{
    meta:
        title = "Script that downloads a program to a temporary place and runs it"
        severity = "high"
        confidence = "high"
        attack = "T1105, T1059.004"
        why = "Fetch, make executable, run, often remove: the first stage of most attacks on containers."
        benign = "Installers; few of them work from /tmp with a bare address."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $fetch_temp = /\b(curl|wget)\b[^\n]{0,200}(-[oO]|--output|--output-document|>)\s{0,3}["']?(\/tmp|\/var\/tmp|\/dev\/shm|\/run|\$\{?(TMPDIR|TMP|DIR|dir|BIN)\}?)\/[\w.\-$]{1,60}/
        $chmod_temp = /chmod\s+([ugoa]{0,3}\+[rwxs]*x|[0-7]{3,4})\s+["']?(\/tmp|\/var\/tmp|\/dev\/shm|\/run|\$\{?(TMPDIR|TMP|DIR|dir|BIN)\}?)\/[\w.\-$]{1,60}/
        $bare_address = /\b(curl|wget)\b[^\n]{0,120}https?:\/\/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(:\d{1,5})?\//
        $kill_rivals = /\b(pkill|killall|kill\s+-9)\b[^\n]{0,80}(xmr|kinsing|kdevtmpfsi|miner|cryptonight|stratum|ksoftirqds|watchdogs)/
        $loop_temp = /cd\s+(\/tmp|\/var\/tmp|\/dev\/shm|\/run)\s*\|\|\s*cd\s+/
        $arch = /for\s+\w+\s+in\s[^\n]{0,60}(x86|mips|armv?[4-7]|mpsl|sh4|ppc)[\s\S]{0,200}\b(wget|curl|tftp)\b/
        $background = /(nohup|setsid|\bdisown\b)[^\n]{0,80}(\/tmp|\/var\/tmp|\/dev\/shm)\//
    condition:
        filesize < 512KB and uint32(0) != 0x464c457f and (($fetch_temp and $chmod_temp and ($background or $bare_address or $kill_rivals)) or ($bare_address and ($chmod_temp or $loop_temp or $kill_rivals)) or ($loop_temp and $arch) or ($kill_rivals and $fetch_temp))
}

rule encoded_command
{
    meta:
        title = "Script that decodes a command and runs it at once"
        severity = "high"
        confidence = "medium"
        attack = "T1027, T1140"
        why = "The real command is hidden from whoever reads the script."
        benign = "Self-extracting installers decode to a file, not to a shell."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $pipe = /base64\s+(-\w*d\w*|--decode|-D)\b[^\n]{0,120}\|\s*(sudo\s+)?(\/\S{0,20}\/)?(ba|z|da|a|k)?sh(\s|$|[;&)"'-])/
        $here = /\|\s*base64\s+(-\w*d\w*|--decode)\s*\|\s*(gunzip|gzip\s+-d|zcat|xz\s+-d)[^\n|]{0,30}\|\s*(\/\S{0,20}\/)?(ba|z|da|a)?sh\b/
        $eval = /eval\s+["']?(\$\(|`)\s*(echo|printf)\s[^\n]{20,8000}\|\s*(base64\s+(-\w*d|--decode)|xxd\s+-r|rev)/
        $python = /exec\s*\(\s*(compile\s*\(\s*)?(zlib\.decompress\s*\(\s*)?(\w{1,20}\.)?(b64decode|b85decode|unhexlify|decompress)\s*\(/
        $python_import = /exec\s*\(\s*__import__\s*\(\s*["'](base64|zlib|marshal|codecs)["']\s*\)/
        $marshal = /exec\s*\(\s*marshal\.loads\s*\(/
        $perl = /eval\s*\(?\s*(decode_base64|unpack\s*\(?\s*["'][uH]\*?["'])/
        $node = /eval\s*\(\s*Buffer\.from\s*\(\s*["'][A-Za-z0-9+\/=]{40,}["']\s*,\s*["']base64/
    condition:
        filesize < 2MB and uint32(0) != 0x464c457f and any of them
}
