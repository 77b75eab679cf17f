/* Ways out of a container. Own rules, Apache-2.0. */

rule escape_cgroup_release_agent
{
    meta:
        title = "Uses the control group's release agent to run programs on the host"
        severity = "critical"
        confidence = "high"
        attack = "T1611"
        why = "The kernel starts the release agent outside of the container, as root."
        benign = "Engines and init systems mention the file; they do not combine it with a shell script (packages' own files are left out)."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $agent = "release_agent"
        $notify = "notify_on_release"
        $mount = /mount\s+-t\s+cgroup/
        $overlay = /(upperdir=|\/etc\/mtab|perdir=)/
        $write = /(echo|printf|cat)[^\n]{0,120}>\s{0,3}["']?[^\n]{0,80}(release_agent|notify_on_release|cgroup\.procs|\/tasks)/
        $unshare = /unshare\s[^\n]{0,40}-\w{0,6}C/
    condition:
        filesize < 512KB and uint32(0) != 0x464c457f and $agent and (($notify and ($write or $mount or $overlay or $unshare)) or $write or ($mount and $overlay))
}

rule escape_kernel_helper
{
    meta:
        title = "Makes the kernel start a program of the container on the host"
        severity = "critical"
        confidence = "high"
        attack = "T1611"
        why = "core_pattern, uevent_helper, modprobe and binfmt_misc name programs that the kernel runs outside of the container."
        benign = "Crash reporters set core_pattern on hosts, not in containers."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $core_write = /(>|tee)\s{0,3}["']?[\w\/${}]{0,40}\/proc\/sys\/kernel\/core_pattern/
        $core_path = "/proc/sys/kernel/core_pattern"
        $core_pipe = /["']\|[\/%$][^\n"']{1,120}/
        $core_open = /open\s*\(\s*["'][^"'\n]{0,60}\/proc\/sys\/kernel\/core_pattern["']\s*,\s*["']?(w|O_WRONLY|O_RDWR|os\.O_W)/
        $uevent_write = /(>|tee)\s{0,3}["']?[\w\/${}]{0,40}\/sys\/kernel\/uevent_helper/
        $modprobe_write = /(>|tee)\s{0,3}["']?[\w\/${}]{0,40}\/proc\/sys\/kernel\/modprobe/
        $binfmt_write = /(>|tee)\s{0,3}["']?[\w\/${}]{0,40}\/proc\/sys\/fs\/binfmt_misc\/register/
        $upperdir = /(upperdir|perdir)=/
        $crash = /kill\s+-(11|SEGV|6|ABRT)|\babort\s*\(\s*\)|sleep\s+\d+\s*&[\s\S]{0,40}kill/
    condition:
        filesize < 2MB and uint32(0) != 0x464c457f and ($core_write or $core_open or $uevent_write or $modprobe_write or ($binfmt_write and $upperdir) or ($core_path and $core_pipe and ($upperdir or $crash)))
}

rule escape_kernel_helper_program
{
    meta:
        title = "Small program that points the kernel's core pattern at itself"
        severity = "high"
        confidence = "medium"
        attack = "T1611"
        why = "Knows the core pattern file and the overlay's upper directory: it lets the kernel start it on the host."
        benign = "Engines and crash reporters (much larger, and owned by packages)."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $core = "/proc/sys/kernel/core_pattern"
        $agent = "release_agent"
        $upperdir = "upperdir="
        $mounts = /\/proc\/(self\/)?(mounts|mountinfo)|\/etc\/mtab/
        $pipe = /\|[%\/][\w%\/.]{1,60}/
    condition:
        uint32(0) == 0x464c457f and filesize < 3MB and ($core or $agent) and ($upperdir and ($mounts or $pipe))
}

rule escape_engine_socket_api
{
    meta:
        title = "Drives the container engine through its socket to reach the host"
        severity = "critical"
        confidence = "high"
        attack = "T1611, T1610"
        why = "Creates a container with the host's root mounted or with all privileges."
        benign = "Deployment tools; they name images and services, not the host's root."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $socket = /(docker|containerd|podman|crio)\.sock/
        $api = /\/containers\/create/
        $exec_api = /\/containers\/[\w${}%.-]{1,70}\/(start|exec|attach)/
        $bind_root = /(["']?Binds["']?\s*:\s*\[\s*["']\/:|-v\s+\/:\/|--volume[= ]\/:\/|"Source"\s*:\s*"\/"|source=\/,)/
        $privileged = /(["']?Privileged["']?\s*[:=]\s*[Tt]rue|--privileged)/
        $pid_host = /(--pid[= ]host|["']?PidMode["']?\s*:\s*["']host)/
        $chroot = /chroot\s+\/(mnt|host|hostfs|hostroot|rootfs)/
        $unix_curl = /--unix-socket\s/
        $run = /docker(-\w+)?\s+(-H\s+\S+\s+)?run\s/
    condition:
        filesize < 512KB and uint32(0) != 0x464c457f and
        (($socket or $unix_curl or $api) and ($api or $run or $exec_api) and ($bind_root or ($privileged and ($pid_host or $chroot))) or
         ($unix_curl and $api and $exec_api) or ($run and $bind_root and $chroot))
}

rule escape_host_process_access
{
    meta:
        title = "Enters the host through process 1 or a raw disk"
        severity = "critical"
        confidence = "medium"
        attack = "T1611"
        why = "nsenter into process 1, writes below /proc/1/root, or mounts the host's disk."
        benign = "Node maintenance images are built to do exactly this."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $nsenter = /nsenter\s[^\n]{0,60}(-t|--target)[= ]?\s?1\s[^\n]{0,80}(-m|--mount|-a|--all)/
        $root_write = /(>|tee|cp\s[^\n]{1,80}|mv\s[^\n]{1,80}|chroot)\s{0,3}["']?\/proc\/1\/root(\/(etc|root|var|usr|home|tmp)|\s|$)/
        $disk_mount = /mount\s+[^\n]{0,40}\/dev\/(sd[a-z]\d?|vd[a-z]\d?|xvd[a-z]\d?|nvme\dn\dp?\d?|dm-\d)\s+\/\w/
        $disk_chroot = /chroot\s+["']?\/(mnt|host|hostfs|tmp)\S{0,40}/
        $find_disk = /(lsblk|fdisk\s+-l|\/proc\/cmdline|blkid)/
        $host_cron = /(\/(mnt|host|hostfs|rootfs)[\w\/]{0,40}\/(etc\/cron|var\/spool\/cron|root\/\.ssh|etc\/ld\.so\.preload|etc\/systemd))/
        $open_handle = "open_by_handle_at"
        $shocker = /f_handle|file_handle/
    condition:
        filesize < 512KB and uint32(0) != 0x464c457f and ($nsenter or $root_write or ($disk_mount and ($disk_chroot or $find_disk or $host_cron)) or ($open_handle and $shocker and /\/(\.dockerinit|etc\/hosts|etc\/shadow)/))
}

rule escape_runtime_overwrite
{
    meta:
        title = "Waits for the container runtime and overwrites it"
        severity = "critical"
        confidence = "medium"
        attack = "T1611"
        why = "Opens the runtime's own executable through /proc for writing (CVE-2019-5736 and its kind) or uses a leaked descriptor."
        benign = "None known outside of the runtimes."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $self = "#!/proc/self/exe"
        $exe = /\/proc\/(self|%d|\$\{?\w{1,10}\}?|\d+|" ?\+ ?\S{1,20} ?\+ ?")\/(exe|fd\/)/
        $runc = "runc" fullword
        $write = /(O_WRONLY|O_TRUNC|os\.O_WRONLY|O_RDWR|>\s?\/proc\/)/
        $leaked = /\/proc\/self\/fd\/[78](\/\.\.){2,}/
        $loop = /cmdline/
    condition:
        filesize < 3MB and uint32(0) != 0x464c457f and (($self and filesize < 200) or ($exe and $runc and $write and $loop) or $leaked)
}

rule cluster_credential_use
{
    meta:
        title = "Uses the pod's service account to drive the cluster"
        severity = "high"
        confidence = "medium"
        attack = "T1552.007, T1613, T1610"
        why = "A script reads the service account's token and calls the cluster's interface."
        benign = "Operators and side-cars, written in a language with a client library rather than in shell."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $token = "/secrets/kubernetes.io/serviceaccount"
        $bearer = /Authorization:\s{0,2}Bearer/
        $api = /(kubernetes\.default|KUBERNETES_SERVICE_HOST|:6443|:10250)/
        $call = /\b(curl|wget|requests\.(get|post)|urllib)\b/
        $resource = /\/api(s)?\/v1\/?(namespaces\/[^\s"']{1,60}\/)?(pods|secrets|daemonsets|serviceaccounts)?|\/apis\/(apps|batch|rbac)/
    condition:
        filesize < 256KB and uint32(0) != 0x464c457f and $token and $bearer and $call and ($api or $resource)
}
