r"""The table of command behaviours that :mod:`forensics.analyze.behaviour` looks for. Data only.

Each names an action, never a tool of one actor. ``needs`` is a cheap test: at least one of these words must occur.
"""

# ruff: noqa: E501 - a pattern stands on one line
from __future__ import annotations

import re
from dataclasses import dataclass

from forensics.model import Severity


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One action that a command can take."""

    id: str
    title: str
    severity: Severity
    attack: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    needs: tuple[str, ...] = ()


_SHELL = r"(?:sudo\s+)?(?:env\s+)?(?:/\S{0,40}/)?(?:busybox\s+)?(?:ba|z|da|k|a|)sh\b"
_RUN = rf"(?:{_SHELL}|(?:/\S{{0,40}}/)?(?:python[0-9.]*|perl|php|ruby|node)\b)"
_FETCH = r"\b(?:curl|wget|fetch|lwp-download|aria2c|busybox\s+wget)\b"
_TEMP = r"(?:/tmp|/var/tmp|/dev/shm|/run/shm)"


def _patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(source, re.IGNORECASE) for source in sources)


BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour(
        "reverse-shell",
        "Opens a reverse or bind shell",
        Severity.CRITICAL,
        ("T1059.004", "T1095"),
        _patterns(
            rf"{_SHELL}[^\n]{{0,80}}[<>]&?\s*/dev/(?:tcp|udp)/",
            r"exec\s+\d*\s*<>\s*/dev/(?:tcp|udp)/",
            r"/dev/(?:tcp|udp)/[\w.$:{}-]+/[\w${}]+[^\n]{0,40}(?:0>&1|<&\d|>&\d)",
            rf"\b(?:nc|ncat|netcat|nc\.\w+)\b[^\n|;]{{0,120}}\s(?:-\w{{0,6}}[ec]|--exec|--sh-exec)\s*['\"]?{_RUN}",
            rf"mkfifo\s[^\n]{{0,200}}{_SHELL}[^\n]{{0,120}}\b(?:nc|ncat|netcat|telnet|openssl)\b",
            rf"mkfifo\s[^\n]{{0,200}}\b(?:nc|ncat|netcat|telnet|openssl)\b[^\n]{{0,120}}{_SHELL}",
            r"\bsocat\b[^\n]{0,160}\b(?:exec|system):",
            r"socket[\s\S]{0,400}\bdup2\s*\([\s\S]{0,300}(?:/bin/|\bsh\b|pty\.spawn|subprocess|exec)",
            r"socket[\s\S]{0,300}\bpty\.spawn\s*\(",
            r"\buse\s+Socket\b[\s\S]{0,400}open\s*\(?\s*STD(?:IN|OUT)[\s\S]{0,200}exec",
            r"fsockopen\s*\([\s\S]{0,200}(?:shell_exec|proc_open|passthru|system|exec|popen)\s*\(",
            r"TCPSocket\.(?:new|open)[\s\S]{0,200}(?:exec|IO\.popen|/bin/)",
            r"net\.(?:connect|Socket)[\s\S]{0,300}(?:spawn|exec)\s*\([\s\S]{0,60}/?(?:bin/)?sh",
            r"/inet/tcp/0/[^\n]{0,200}(?:getline|\|&)",
            rf"telnet\s[^\n|]{{1,80}}\|\s*{_SHELL}\s*\|\s*telnet",
        ),
        ("/dev/tcp", "/dev/udp", "nc", "netcat", "mkfifo", "socat", "socket", "telnet", "fsockopen", "net.", "/inet/"),
    ),
    Behaviour(
        "download-and-run",
        "Downloads something and runs it",
        Severity.HIGH,
        ("T1105", "T1059.004"),
        _patterns(
            rf"{_FETCH}[^\n]{{0,300}}(?<!\|)\|(?!\|)\s*(?:tee\s+\S+\s*\|\s*)?{_RUN}(?!\S*\.)(?:\s|$|[;&)\"'-])",
            rf"{_FETCH}[^\n|;]{{0,300}}\|\s*(?:base64\s+-\w+|gunzip|gzip\s+-\w+|zcat|xz\s+-\w+|tr\s[^|]{{0,60}})\s*\|\s*{_RUN}",
            rf"{_RUN}\s+(?:-\w+\s+)?(?:['\"]?\$\(|`|<\()\s*{_FETCH}",
            rf"\b(?:eval|source|\.)\s+(?:['\"]?\$\(|`|<\()\s*{_FETCH}",
            rf"{_FETCH}[^\n]{{0,300}}chmod\s+(?:[ugoa]*\+\w*x|[0-7]*[157][0-7]*)[^\n]{{0,200}}(?:&&|;|\|\|)\s*(?:nohup\s+|setsid\s+)?[./~$]",
            rf"{_FETCH}[^\n]{{0,300}}(?:&&|;)\s*(?:nohup\s+|setsid\s+)?{_RUN}\s+(?:-\w+\s+)?{_TEMP}/",
        ),
        ("curl", "wget", "fetch", "lwp-download", "aria2c"),
    ),
    Behaviour(
        "decode-and-run",
        "Decodes hidden commands and runs them",
        Severity.HIGH,
        ("T1027", "T1140", "T1059"),
        _patterns(
            rf"base(?:64|32)\s+(?:-\w*d\w*|--decode|-D)\b[^\n]{{0,200}}\|\s*{_RUN}(?:\s|$|[;&)\"'-])",
            rf"(?:xxd\s+-\w*r\w*|openssl\s+(?:enc|base64)\s[^\n|]{{0,80}}-d|\brev)\b[^\n]{{0,120}}\|\s*{_RUN}(?:\s|$|[;&)\"'-])",
            r"\b(?:eval|source)\b[^\n]{0,40}(?:\$\(|`)[^\n]{0,400}(?:base64\s+-\w*d|base64\s+--decode|xxd\s+-\w*r)",
            rf"{_RUN}\s+(?:-\w+\s+)?['\"]?(?:\$\(|`|<\()[^\n]{{0,400}}base64\s+(?:-\w*d|--decode)",
            r"exec\s*\([\s\S]{0,120}b64decode\s*\(",
            r"(?:eval|assert)\s*\(\s*(?:gzinflate|gzuncompress|str_rot13|base64_decode|strrev)\s*\(",
            r"eval\s*\(?\s*(?:decode_base64|unpack)\b",
        ),
        ("base64", "base32", "xxd", "openssl", "rev", "b64decode", "gzinflate", "gzuncompress", "str_rot13", "unpack"),
    ),
    Behaviour(
        "mining",
        "Mines cryptocurrency",
        Severity.CRITICAL,
        ("T1496.001",),
        _patterns(
            r"stratum[12]?\+(?:tcp|ssl|tls|http)s?://",
            r"--donate-level[= ]\d|--cpu-max-threads-hint|--randomx-\w+|--nicehash\b|--coin[= ](?:monero|xmr|rvn|etc)\b",
            r"(?:--algo|-a)[= ]\s*(?:rx/\w+|randomx|cryptonight\S*|cn/\w+|kawpow|ethash|etchash|argon2/\S+|astrobwt|ghostrider|yespower|minotaurx)",
            r"(?<![\w])[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}(?![\w])",
            r"(?:-o|--url)[= ]\S{4,100}:\d{2,5}\s[^\n]{0,80}(?:-u|--user)[= ]\S{20,}[^\n]{0,60}(?:(?:-p|--pass)[= ]|(?:-k\b|--tls\b|--keepalive))",
        ),
    ),
    Behaviour(
        "container-escape",
        "Reaches out of the container",
        Severity.CRITICAL,
        ("T1611",),
        _patterns(
            r"(?:>|\btee\b)[^\n]{0,80}release_agent",
            r"notify_on_release[\s\S]{0,600}release_agent|release_agent[\s\S]{0,600}notify_on_release",
            r"(?:>|\btee\b)[^\n]{0,20}/proc/sys/kernel/core_pattern|sysctl\s+-w\s+kernel\.core_pattern",
            r"(?:>|\btee\b)\s*\S{0,40}/sys/kernel/uevent_helper|>\s*\S{0,20}/proc/sys/kernel/modprobe",
            r"nsenter\s[^\n]{0,60}(?:-t|--target)[= ]?\s*1\b",
            r"/proc/1/root/(?:etc|root|bin|home|var|usr)\b",
            r"\bmount\s+[^\n]{0,60}/dev/(?:sd[a-z]|vd[a-z]|xvd[a-z]|nvme\d|mapper/|dm-\d)",
            r"\bchroot\s+/(?:host|mnt|hostfs|rootfs)\S*\s",
            r"\bdebugfs\s[^\n]{0,20}/dev/",
            r"\bmknod\s+\S+\s+b\s+\d+\s+\d+",
            r"\b(?:insmod|modprobe)\s+(?:\./|/tmp/|/dev/shm/|/var/tmp/)\S+",
            r"/containers/create[\s\S]{0,600}(?:\"Privileged\"\s*:\s*true|\"Binds\"\s*:\s*\[\s*\"/:|\"HostConfig\")",
            r"docker\b[^\n]{0,160}\brun\b[^\n]{0,160}(?:--privileged|-v\s*/:/|--pid[= ]host)",
        ),
        (
            "release_agent",
            "core_pattern",
            "uevent_helper",
            "modprobe",
            "insmod",
            "nsenter",
            "/proc/1/",
            "mount",
            "chroot",
            "debugfs",
            "mknod",
            "containers/create",
            "docker",
        ),
    ),
    Behaviour(
        "engine-api",
        "Talks to the container engine's API",
        Severity.HIGH,
        ("T1609", "T1610", "T1552.007"),
        _patterns(
            r"--unix-socket\s+\S{0,60}(?:docker|containerd|crio|podman)\S{0,20}\.sock",
            r"\b(?:nc|ncat|socat)\b[^\n]{0,80}(?:docker|containerd|crio|podman)\S{0,20}\.sock",
            r"docker\s+(?:-H|--host)[= ]?\s*(?:unix|tcp)://",
            r"https?://[^\s/\"']{1,80}:237[56]/(?:v[\d.]+/)?(?:containers|images|info|version|exec)",
            r"https?://[^\s/\"']{1,80}:10250/(?:run|exec|pods)",
        ),
        (".sock", "docker", ":237", ":10250"),
    ),
    Behaviour(
        "cloud-credentials",
        "Asks the cloud's metadata service for credentials",
        Severity.HIGH,
        ("T1552.005",),
        _patterns(
            r"169\.254\.169\.254/(?:latest|computeMetadata|metadata|openstack|opc)\b",
            r"metadata\.google\.internal/computeMetadata",
            r"169\.254\.170\.2(?:/|\$)",
            r"100\.100\.100\.200/latest",
        ),
        ("169.254.", "metadata.google", "100.100.100.200"),
    ),
    Behaviour(
        "credential-theft",
        "Collects credentials",
        Severity.HIGH,
        ("T1552.001", "T1552.004", "T1003.008"),
        _patterns(
            r"\b(?:cat|cp|tar|curl|scp|base64|dd|less|nc|zip|grep)\b[^\n]{0,100}/etc/shadow\b",
            r"\b(?:tar|zip|cp|scp|curl|rsync|base64)\b[^\n]{0,160}(?:\.ssh/id_\w+|\.ssh\b(?!/known|/config)|\.aws/credentials|\.kube/config|\.docker/config\.json|\.git-credentials|gcloud/credentials)",
            r"\bfind\s[^\n]{0,120}-name\s+['\"]?\*?(?:id_rsa|id_ed25519|id_dsa|\.pem|wallet\.dat|\.kdbx|credentials|\.git-credentials)",
            r"/proc/(?:\*|\$\{?\w+\}?|\[0-9\]\S{0,4})/environ",
            r"secrets/kubernetes\.io/serviceaccount/token[\s\S]{0,400}(?:curl|wget|Bearer|https?://)",
            r"(?:curl|wget|cat|nc)\b[^\n]{0,160}secrets/kubernetes\.io/serviceaccount/token",
        ),
        (
            "/etc/shadow",
            ".ssh",
            ".aws",
            ".kube",
            ".docker",
            "credentials",
            "id_rsa",
            "id_ed25519",
            ".pem",
            "environ",
            "serviceaccount",
            "wallet.dat",
            ".kdbx",
            "id_dsa",
        ),
    ),
    Behaviour(
        "exfiltration",
        "Sends local files away",
        Severity.HIGH,
        ("T1048", "T1041"),
        _patterns(
            r"\btar\s[^\n|]{0,160}\|[^\n]{0,80}(?:\b(?:nc|ncat|netcat|curl|ssh|openssl)\b|/dev/tcp/)",
            r"\bcurl\b[^\n]{0,160}(?:-F\s*['\"]?\w+=@|--data-binary\s+@|-d\s+@|-T\s|--upload-file\s)[^\n]{0,60}(?:/etc/|/root|/home|/var|\.ssh|\.aws|/tmp|/proc|\.tar|\.tgz|\.zip|\.sql|-)",
            r"\b(?:mysqldump|pg_dump|mongodump)\b[^\n]{0,200}\|[^\n]{0,120}\b(?:nc|ncat|curl|ssh|openssl)\b",
            r"\bwget\b[^\n]{0,80}--post-file",
            r"\bcat\s+/(?:etc|root|home|proc)/\S+\s*\|[^\n]{0,60}(?:\b(?:nc|ncat|netcat|curl)\b|>\s*/dev/tcp/)",
        ),
        ("tar", "curl", "dump", "wget", "cat "),
    ),
    Behaviour(
        "anti-forensics",
        "Removes its traces",
        Severity.HIGH,
        ("T1070",),
        _patterns(
            r"\bhistory\s+-[cw]+\b",
            r"\bunset\s+(?:-v\s+)?HISTFILE|HISTFILE=(?:/dev/null|['\"]{2}|$|\s)|HISTSIZE=0|HISTFILESIZE=0|set\s+\+o\s+history",
            r"\bln\s+-\w*s\w*\s+/dev/null\s+\S*(?:_history|/log/|wtmp|lastlog)",
            r"(?:\brm\s+-\w+|\bshred\b|\btruncate\b)[^\n]{0,60}(?:_history|/var/log/(?:\*|auth|secure|syslog|wtmp|btmp|lastlog|messages|audit|nginx|apache|httpd))",
            r"(?:cat\s+/dev/null|:|echo\s*['\"]{0,2})\s*>\s*(?:~|/root|/home/\S+|/var/log)/\S*(?:_history|log|wtmp|btmp|lastlog|messages|secure)\b",
            r"\btouch\s+-\w*[acm]*r\w*\s+/(?:bin|usr|etc|lib|sbin)\S*\s+\S+",
            r"journalctl\s+--vacuum-\w+[= ]1s|auditctl\s+-[De]\b",
        ),
        ("hist", "/dev/null", "/var/log", "touch", "journalctl", "auditctl", "shred"),
    ),
    Behaviour(
        "defense-evasion",
        "Turns protections off",
        Severity.HIGH,
        ("T1562.001", "T1562.004"),
        _patterns(
            r"\bsetenforce\s+0|SELINUX=disabled",
            r"\biptables\s+-F\b|\bufw\s+disable|\bnft\s+flush\s+ruleset",
            r"\bchattr\s+[+]\w*i\w*\s+\S*(?:cron|tmp|ssh|preload|authorized_keys|passwd)",
            r"(?:systemctl|service)\s+(?:stop|disable)\s+\S*(?:falco|auditd|apparmor|aliyun|cloudmonitor|osquery|wazuh|crowdstrike)",
            r"\b(?:pkill|killall)\b[^\n]{0,60}(?:xmr|kinsing|kdevtmpfsi|miner|cryptonight|stratum)",
        ),
        ("setenforce", "selinux", "iptables", "ufw", "nft", "chattr", "systemctl", "service", "pkill", "killall"),
    ),
    Behaviour(
        "account-manipulation",
        "Creates or empowers accounts",
        Severity.HIGH,
        ("T1136.001", "T1098"),
        _patterns(
            r"\b(?:useradd|adduser)\b[^\n]{0,80}(?:-o\b[^\n]{0,40}-u\s*0|-u\s*0\b)",
            r"(?:>>|\btee\s+-a)\s*/etc/(?:passwd|shadow|sudoers)\b",
            r"ALL\s*=\s*\(\s*ALL(?:\s*:\s*ALL)?\s*\)\s*NOPASSWD:\s*ALL[^\n]{0,40}(?:>|tee)",
            r"(?:>>?|\btee\s)[^\n]{0,40}\.ssh/authorized_keys",
        ),
        ("useradd", "adduser", "/etc/passwd", "/etc/shadow", "sudoers", "nopasswd", "authorized_keys"),
    ),
    Behaviour(
        "privilege-backdoor",
        "Leaves a way to become root",
        Severity.CRITICAL,
        ("T1548.001",),
        _patterns(
            r"chmod\s+(?:[ug]?\+s\w*|[0-7]?[2467][0-7]{3})\s+\S*(?:/(?:ba|da|z|k|)sh|/tmp/|/dev/shm/|/var/tmp/|python|perl|find|cp)\b",
            r"\bsetcap\s+\S{0,20}cap_(?:setuid|sys_admin|dac_override|sys_ptrace|sys_module)\S{0,20}\s+\S*(?:python|perl|sh\b|ruby|node|php|gdb|tar)",
        ),
        ("chmod", "setcap"),
    ),
    Behaviour(
        "library-preload",
        "Has a library loaded into every program",
        Severity.HIGH,
        ("T1574.006",),
        _patterns(
            r"(?:>>?|\btee\s|\bcp\s[^\n]{0,80})\s*\S{0,20}/etc/ld\.so\.preload",
            rf"LD_(?:PRELOAD|AUDIT)=['\"]?(?:{_TEMP}|/[^\s\"']*/\.)\S+",
        ),
        ("ld.so.preload", "ld_preload", "ld_audit"),
    ),
    Behaviour(
        "install-persistence",
        "Installs itself to be started again",
        Severity.HIGH,
        ("T1053.003", "T1543"),
        _patterns(
            r"\|\s*crontab\s+(?:-u\s+\S+\s+)?-(?:\s|$|[;&)\"'])",
            r"(?:>>?|\btee\s)[^\n]{0,20}/(?:etc/cron|var/spool/cron)\S*",
            r"(?:>>?|\btee\s+-a)\s*(?:~|/root|/home/\S+|\$HOME)/\.(?:bashrc|profile|bash_profile|zshrc)\b[^\n]{0,40}(?:curl|wget|nohup|/tmp|base64)",
            r"(?:curl|wget|nohup|/tmp/|base64)[^\n]{0,160}>>\s*(?:~|/root|/home/\S+|\$HOME)/\.(?:bashrc|profile|bash_profile|zshrc)\b",
        ),
        ("cron", "rc", "profile"),
    ),
    Behaviour(
        "file-encryption",
        "Encrypts files and removes the originals",
        Severity.CRITICAL,
        ("T1486",),
        _patterns(
            r"\bopenssl\s+enc\s[^\n]{0,200}-in\s[^\n]{0,300}(?:rm|shred|unlink|mv)\s",
            r"(?:find|for|while)\s[\s\S]{0,300}\b(?:openssl\s+enc|gpg\s[^\n]{0,60}(?:-c|--symmetric|-e)|7z\s+a\s+-p|ccrypt\s+-e)[\s\S]{0,400}(?:\brm\b|\bshred\b|-delete|--remove)",
        ),
        ("openssl", "gpg", "7z", "ccrypt"),
    ),
    Behaviour(
        "network-scan",
        "Scans networks or guesses passwords",
        Severity.HIGH,
        ("T1046", "T1110"),
        _patterns(
            r"\b(?:masscan|zmap|zgrab2?|pnscan)\s+[^\n]{0,80}(?:-p|--rate|\d{1,3}\.\d{1,3}\.|\$)",
            r"\bnmap\s+[^\n]{0,80}(?:\d{1,3}(?:\.\d{1,3}){3}/\d|-iL|-sS|--script)",
            r"\b(?:hydra|medusa|ncrack|patator)\s+-[^\n]{0,120}(?:ssh|ftp|mysql|rdp|redis)",
            r"for\s+\w+\s+in\s[^\n]{0,60}(?:seq|\{\d+\.\.\d+\})[^\n]{0,200}(?:/dev/tcp/|\bnc\s+-\w*z)",
        ),
        ("masscan", "zmap", "zgrab", "pnscan", "nmap", "hydra", "medusa", "ncrack", "patator", "/dev/tcp", "nc -"),
    ),
    Behaviour(
        "tunnel",
        "Opens a tunnel into the network",
        Severity.HIGH,
        ("T1572", "T1090"),
        _patterns(
            r"\bssh\b[^\n]{0,120}\s-\w*[RD]\w*\s*\S*\d{2,5}",
            r"\b\S{0,40}\s+client\s+(?:https?://)?[\w.-]+:\d+\s+R:",
            r"\bngrok\s+(?:tcp|http)\s|cloudflared\s+tunnel\s[^\n]{0,40}(?:--url|run|--token)",
            r"\bsocat\b[^\n]{0,80}TCP\d?-LISTEN:[^\n]{0,80}TCP\d?:",
        ),
        ("ssh", "client", "ngrok", "cloudflared", "socat"),
    ),
    Behaviour(
        "runs-from-temp",
        "Runs a program from a temporary or hidden place",
        Severity.HIGH,
        ("T1036.005", "T1564.001"),
        _patterns(
            rf"(?:^|[;&|(\n*]|\b(?:nohup|setsid|exec|sudo|root|sh|bash|python3?|perl)\s)\s*(?:-\w+\s+)?{_TEMP}/[\w./-]{{1,120}}",
            r"(?:^|[;&|(\n*]|\b(?:nohup|setsid|exec|root|sh|bash|python3?)\s)\s*/(?:etc|usr|var|lib|opt|bin|sbin|srv|dev)"
            r"(?:/[\w.-]+){0,8}/\.[A-Za-z0-9_][\w.-]*(?:/[\w.-]+){0,4}(?=\s|$|[;&])",
            rf"Exec(?:Start|StartPre|Reload)\s*=\s*[-@+!]*(?:{_TEMP}/|/\S*/\.[A-Za-z0-9])",
        ),
    ),
)
"""In the order in which a reader wants to hear of them."""
