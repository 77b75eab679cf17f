r"""The second part of the table of command behaviours: staying, hiding, harming. Data only."""

from __future__ import annotations

from forensics.analyze.behaviour_noun import TEMP, Behaviour, compile_all
from forensics.model import Severity

STAYING: tuple[Behaviour, ...] = (
    Behaviour(
        "anti-forensics",
        "Removes its traces",
        Severity.HIGH,
        ("T1070",),
        compile_all(
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
        ("T1685", "T1686"),
        compile_all(
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
        compile_all(
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
        compile_all(
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
        compile_all(
            r"(?:>>?|\btee\s|\bcp\s[^\n]{0,80})\s*\S{0,20}/etc/ld\.so\.preload",
            rf"LD_(?:PRELOAD|AUDIT)=['\"]?(?:{TEMP}|/[^\s\"']*/\.)\S+",
        ),
        ("ld.so.preload", "ld_preload", "ld_audit"),
    ),
    Behaviour(
        "install-persistence",
        "Installs itself to be started again",
        Severity.HIGH,
        ("T1053.003", "T1543"),
        compile_all(
            r"\|\s*crontab\s+(?:-u\s+\S+\s+)?-(?:\s|$|[;&)\"'])",
            r"(?:>>?|\btee\s)[^\n]{0,20}/(?:etc/cron|var/spool/cron)\S*",
            r"(?:>>?|\btee\s+-a)\s*(?:~|/root|/home/\S+|\$HOME)/\.(?:bashrc|profile|bash_profile|zshrc)\b[^\n]{0,40}(?:curl|wget|nohup|/tmp|base64)",
            r"(?:curl|wget|nohup|/tmp/|base64)[^\n]{0,160}>>\s*(?:~|/root|/home/\S+|\$HOME)/\.(?:bashrc|profile|bash_profile|zshrc)\b",
        ),
        ("crontab", "cron", "bashrc", "zshrc", ".profile", "bash_profile"),
    ),
    Behaviour(
        "file-encryption",
        "Encrypts files and removes the originals",
        Severity.CRITICAL,
        ("T1486",),
        compile_all(
            r"\bopenssl\s+enc\s[^\n]{0,200}-in\s[^\n]{0,300}(?:rm|shred|unlink|mv)\s",
            r"(?:find|for|while)\s[\s\S]{0,300}\b(?:openssl\s+enc|gpg\s[^\n]{0,60}(?:-c|--symmetric|-e)|7z\s+a\s+-p|ccrypt\s+-e)[\s\S]{0,400}(?:\brm\b|\bshred\b|-delete|--remove)",
        ),
        ("openssl", "gpg", "7z", "ccrypt"),
    ),
    Behaviour(
        "data-destruction",
        "Overwrites or removes data for good",
        Severity.HIGH,
        ("T1485", "T1561.001"),
        compile_all(
            r"\bshred\s+(?:-\S+\s+|\d+\s+){0,6}-?[^\n]{0,40}(?:/srv|/data|/home|/var/lib|/mnt|/opt|/backup|/dev/(?:sd|vd|xvd|nvme|dm-))",
            r"\b(?:find|xargs)\s[^\n]{0,160}\b(?:shred|wipe|srm)\s",
            r"\bdd\s[^\n]{0,60}if=/dev/(?:zero|u?random)\s[^\n]{0,60}of=(?:/dev/(?:sd|vd|xvd|nvme|dm-|mapper)|/(?:srv|data|home|mnt|backup|var/lib)/)",
            r"\brm\s+-\w*r\w*\s+[^\n]{0,80}(?:--no-preserve-root|\s/\*(?:\s|$)|/(?:srv/backup|backups?|var/lib/(?:mysql|postgresql|mongodb|redis))(?:/\*|/?(?:\s|$)))",
            r"\b(?:mkfs(?:\.\w+)?|wipefs)\s[^\n]{0,60}/dev/(?:sd|vd|xvd|nvme|dm-|mapper)",
            r"\b(?:DROP\s+DATABASE|FLUSHALL)\b[^\n]{0,200}(?:bitcoin|btc|recover|ransom|pay)",
        ),
        ("shred", "wipe", "srm", "dd ", "rm -", "mkfs", "drop database", "flushall"),
    ),
    Behaviour(
        "network-scan",
        "Scans networks or guesses passwords",
        Severity.HIGH,
        ("T1046", "T1110"),
        compile_all(
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
        compile_all(
            r"\bssh\b[^\n]{0,120}\s-\w*[RD]\w*\s*\S*\d{2,5}",
            r"\b\S{0,40}\s+client\s+(?:https?://)?[\w.-]+:\d+\s+R:",
            r"\bngrok\s+(?:tcp|http)\s|cloudflared\s+tunnel\s[^\n]{0,40}(?:--url|run|--token)",
            r"\bsocat\b[^\n]{0,80}TCP\d?-LISTEN:[^\n]{0,80}TCP\d?:",
        ),
        ("ssh -", "ssh ", " client ", "ngrok", "cloudflared", "socat"),
    ),
    Behaviour(
        "runs-from-temp",
        "Runs a program from a temporary or hidden place",
        Severity.HIGH,
        ("T1036.005", "T1564.001"),
        compile_all(
            rf"(?:^|[;&|(\n*]|\b(?:nohup|setsid|exec|sudo|root|sh|bash|python3?|perl)\s)\s*(?:-\w+\s+)?{TEMP}/[\w./-]{{1,120}}",
            r"(?:^|[;&|(\n*]|\b(?:nohup|setsid|exec|root|sh|bash|python3?)\s)\s*/(?:etc|usr|var|lib|opt|bin|sbin|srv|dev)"
            r"(?:/[\w.-]+){0,8}/\.[A-Za-z0-9_][\w.-]*(?:/[\w.-]+){0,4}(?=\s|$|[;&])",
            rf"Exec(?:Start|StartPre|Reload)\s*=\s*[-@+!]*(?:{TEMP}/|/\S*/\.[A-Za-z0-9])",
        ),
    ),
)
