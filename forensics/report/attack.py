"""MITRE ATT&CK technique ids to names and tactics: the Containers and Linux matrices. A static table; asks nobody.

Source: ATT&CK Enterprise v17.1 (https://attack.mitre.org/versions/v17/matrices/enterprise/). Only techniques that a
container's evidence can show are listed; an id that is not listed is reported under "Other", never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from forensics.model import EvidenceRef, Finding, TimelineEvent
from forensics.report.document import TacticStory, TechniqueUse

ATTACK_VERSION = "17.1"
OTHER = "Other"

TACTICS = {
    "initial-access": ("TA0001", "Initial Access"),
    "execution": ("TA0002", "Execution"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "Privilege Escalation"),
    "defense-evasion": ("TA0005", "Defense Evasion"),
    "credential-access": ("TA0006", "Credential Access"),
    "discovery": ("TA0007", "Discovery"),
    "lateral-movement": ("TA0008", "Lateral Movement"),
    "collection": ("TA0009", "Collection"),
    "command-and-control": ("TA0011", "Command and Control"),
    "exfiltration": ("TA0010", "Exfiltration"),
    "impact": ("TA0040", "Impact"),
}
"""Tactics in the order in which an intrusion is told."""

_TABLE = """
T1190 initial-access|Exploit Public-Facing Application
T1133 initial-access,persistence|External Remote Services
T1195 initial-access|Supply Chain Compromise
T1195.001 initial-access|Compromise Software Dependencies and Development Tools
T1195.002 initial-access|Compromise Software Supply Chain
T1078 initial-access,persistence,privilege-escalation,defense-evasion|Valid Accounts
T1078.001 initial-access,persistence,privilege-escalation,defense-evasion|Default Accounts
T1078.003 initial-access,persistence,privilege-escalation,defense-evasion|Local Accounts
T1609 execution|Container Administration Command
T1610 execution,defense-evasion|Deploy Container
T1059 execution|Command and Scripting Interpreter
T1059.004 execution|Unix Shell
T1059.006 execution|Python
T1059.007 execution|JavaScript
T1053 execution,persistence,privilege-escalation|Scheduled Task/Job
T1053.002 execution,persistence,privilege-escalation|At
T1053.003 execution,persistence,privilege-escalation|Cron
T1053.006 execution,persistence,privilege-escalation|Systemd Timers
T1053.007 execution,persistence,privilege-escalation|Container Orchestration Job
T1106 execution|Native API
T1129 execution|Shared Modules
T1203 execution|Exploitation for Client Execution
T1204 execution|User Execution
T1204.003 execution|Malicious Image
T1098 persistence,privilege-escalation|Account Manipulation
T1098.004 persistence,privilege-escalation|SSH Authorized Keys
T1098.006 persistence,privilege-escalation|Additional Container Cluster Roles
T1136 persistence|Create Account
T1136.001 persistence|Local Account
T1505 persistence|Server Software Component
T1505.003 persistence|Web Shell
T1525 persistence|Implant Internal Image
T1543 persistence,privilege-escalation|Create or Modify System Process
T1543.002 persistence,privilege-escalation|Systemd Service
T1543.005 persistence,privilege-escalation|Container Service
T1037 persistence,privilege-escalation|Boot or Logon Initialization Scripts
T1037.004 persistence,privilege-escalation|RC Scripts
T1546 persistence,privilege-escalation|Event Triggered Execution
T1546.004 persistence,privilege-escalation|Unix Shell Configuration Modification
T1547 persistence,privilege-escalation|Boot or Logon Autostart Execution
T1547.006 persistence,privilege-escalation|Kernel Modules and Extensions
T1554 persistence|Compromise Host Software Binary
T1556 credential-access,defense-evasion,persistence|Modify Authentication Process
T1556.003 credential-access,defense-evasion,persistence|Pluggable Authentication Modules
T1574 persistence,privilege-escalation,defense-evasion|Hijack Execution Flow
T1574.006 persistence,privilege-escalation,defense-evasion|Dynamic Linker Hijacking
T1574.007 persistence,privilege-escalation,defense-evasion|Path Interception by PATH Environment Variable
T1068 privilege-escalation|Exploitation for Privilege Escalation
T1548 privilege-escalation,defense-evasion|Abuse Elevation Control Mechanism
T1548.001 privilege-escalation,defense-evasion|Setuid and Setgid
T1548.003 privilege-escalation,defense-evasion|Sudo and Sudo Caching
T1611 privilege-escalation|Escape to Host
T1055 defense-evasion,privilege-escalation|Process Injection
T1055.008 defense-evasion,privilege-escalation|Ptrace System Calls
T1055.009 defense-evasion,privilege-escalation|Proc Memory
T1014 defense-evasion|Rootkit
T1027 defense-evasion|Obfuscated Files or Information
T1027.002 defense-evasion|Software Packing
T1027.004 defense-evasion|Compile After Delivery
T1027.010 defense-evasion|Command Obfuscation
T1027.013 defense-evasion|Encrypted/Encoded File
T1036 defense-evasion|Masquerading
T1036.003 defense-evasion|Rename Legitimate Utilities
T1036.004 defense-evasion|Masquerade Task or Service
T1036.005 defense-evasion|Match Legitimate Resource Name or Location
T1036.006 defense-evasion|Space after Filename
T1036.002 defense-evasion|Right-to-Left Override
T1036.011 defense-evasion|Overwrite Process Arguments
T1070 defense-evasion|Indicator Removal
T1070.002 defense-evasion|Clear Linux or Mac System Logs
T1070.003 defense-evasion|Clear Command History
T1070.004 defense-evasion|File Deletion
T1070.006 defense-evasion|Timestomp
T1140 defense-evasion|Deobfuscate/Decode Files or Information
T1222 defense-evasion|File and Directory Permissions Modification
T1222.002 defense-evasion|Linux and Mac File and Directory Permissions Modification
T1480 defense-evasion|Execution Guardrails
T1497 defense-evasion,discovery|Virtualization/Sandbox Evasion
T1562 defense-evasion|Impair Defenses
T1562.001 defense-evasion|Disable or Modify Tools
T1562.003 defense-evasion|Impair Command History Logging
T1562.004 defense-evasion|Disable or Modify System Firewall
T1562.006 defense-evasion|Indicator Blocking
T1564 defense-evasion|Hide Artifacts
T1564.001 defense-evasion|Hidden Files and Directories
T1599 defense-evasion|Network Boundary Bridging
T1612 defense-evasion|Build Image on Host
T1620 defense-evasion|Reflective Code Loading
T1003 credential-access|OS Credential Dumping
T1003.007 credential-access|Proc Filesystem
T1003.008 credential-access|/etc/passwd and /etc/shadow
T1040 credential-access,discovery|Network Sniffing
T1110 credential-access|Brute Force
T1110.001 credential-access|Password Guessing
T1110.003 credential-access|Password Spraying
T1110.004 credential-access|Credential Stuffing
T1528 credential-access|Steal Application Access Token
T1550 defense-evasion,lateral-movement|Use Alternate Authentication Material
T1550.001 defense-evasion,lateral-movement|Application Access Token
T1552 credential-access|Unsecured Credentials
T1552.001 credential-access|Credentials In Files
T1552.003 credential-access|Bash History
T1552.004 credential-access|Private Keys
T1552.005 credential-access|Cloud Instance Metadata API
T1552.007 credential-access|Container API
T1555 credential-access|Credentials from Password Stores
T1557 credential-access,collection|Adversary-in-the-Middle
T1007 discovery|System Service Discovery
T1016 discovery|System Network Configuration Discovery
T1018 discovery|Remote System Discovery
T1033 discovery|System Owner/User Discovery
T1046 discovery|Network Service Discovery
T1049 discovery|System Network Connections Discovery
T1057 discovery|Process Discovery
T1069 discovery|Permission Groups Discovery
T1082 discovery|System Information Discovery
T1083 discovery|File and Directory Discovery
T1087 discovery|Account Discovery
T1518 discovery|Software Discovery
T1613 discovery|Container and Resource Discovery
T1021 lateral-movement|Remote Services
T1021.004 lateral-movement|SSH
T1210 lateral-movement|Exploitation of Remote Services
T1563 lateral-movement|Remote Service Session Hijacking
T1563.001 lateral-movement|SSH Hijacking
T1570 lateral-movement|Lateral Tool Transfer
T1005 collection|Data from Local System
T1074 collection|Data Staged
T1074.001 collection|Local Data Staging
T1119 collection|Automated Collection
T1560 collection|Archive Collected Data
T1560.001 collection|Archive via Utility
T1001 command-and-control|Data Obfuscation
T1008 command-and-control|Fallback Channels
T1071 command-and-control|Application Layer Protocol
T1071.001 command-and-control|Web Protocols
T1071.004 command-and-control|DNS
T1090 command-and-control|Proxy
T1090.003 command-and-control|Multi-hop Proxy
T1095 command-and-control|Non-Application Layer Protocol
T1102 command-and-control|Web Service
T1105 command-and-control|Ingress Tool Transfer
T1132 command-and-control|Data Encoding
T1205 command-and-control,defense-evasion,persistence|Traffic Signaling
T1219 command-and-control|Remote Access Tools
T1571 command-and-control|Non-Standard Port
T1572 command-and-control|Protocol Tunneling
T1573 command-and-control|Encrypted Channel
T1020 exfiltration|Automated Exfiltration
T1041 exfiltration|Exfiltration Over C2 Channel
T1048 exfiltration|Exfiltration Over Alternative Protocol
T1537 exfiltration|Transfer Data to Cloud Account
T1567 exfiltration|Exfiltration Over Web Service
T1485 impact|Data Destruction
T1486 impact|Data Encrypted for Impact
T1489 impact|Service Stop
T1490 impact|Inhibit System Recovery
T1491 impact|Defacement
T1496 impact|Resource Hijacking
T1496.001 impact|Compute Hijacking
T1496.002 impact|Bandwidth Hijacking
T1498 impact|Network Denial of Service
T1499 impact|Endpoint Denial of Service
T1529 impact|System Shutdown/Reboot
T1531 impact|Account Access Removal
T1565 impact|Data Manipulation
T1565.001 impact|Stored Data Manipulation
"""


def _parse_table() -> dict[str, tuple[str, tuple[str, ...]]]:
    techniques = {}
    for line in _TABLE.strip().splitlines():
        head, name = line.split("|", 1)
        technique, tactics = head.split(" ", 1)
        techniques[technique] = (name, tuple(tactics.split(",")))
    return techniques


TECHNIQUES = _parse_table()
"""Technique id to (name, tactics)."""


def name_technique(technique: str) -> str:
    """Return the technique's name with its parent's, as the matrix prints it; the id itself where it is unknown."""
    known = TECHNIQUES.get(technique)
    if known is None:
        return technique
    parent = TECHNIQUES.get(technique.partition(".")[0])
    return f"{parent[0]}: {known[0]}" if parent and "." in technique else known[0]


def tell_story(findings: Sequence[Finding], timeline: Iterable[TimelineEvent]) -> tuple[TacticStory, ...]:
    """Group findings by tactic in life-cycle order, techniques by first sign; findings are numbered from 1.

    A technique that serves several tactics is told once, under its first one, so that a count is a count.
    """
    uses: dict[str, dict[str, list[int]]] = {}
    for number, finding in enumerate(findings, start=1):
        for technique in finding.attack:
            _, tactics = TECHNIQUES.get(technique, ("", (OTHER,)))
            uses.setdefault(tactics[0], {}).setdefault(technique, []).append(number)
    times = _date_findings(findings, timeline)
    return tuple(_tell_tactic(key, uses[key], times) for key in (*TACTICS, OTHER) if key in uses)


def _tell_tactic(tactic: str, uses: dict[str, list[int]], times: dict[int, str]) -> TacticStory:
    tactic_id, name = TACTICS.get(tactic, ("", OTHER))
    rows = []
    for technique, numbers in uses.items():
        first_at = min((times[number] for number in numbers if number in times), default="")
        rows.append(TechniqueUse(technique, name_technique(technique), tuple(numbers), first_at))
    rows.sort(key=lambda row: (not row.first_at, row.first_at, row.id))
    return TacticStory(tactic_id, name, tuple(rows))


def _date_findings(findings: Iterable[Finding], timeline: Iterable[TimelineEvent]) -> dict[int, str]:
    """Return by finding number the earliest undoubted event that shares a process or a path with it."""
    seen: dict[object, str] = {}
    for event in timeline:
        if event.evidence is None or event.doubt:
            continue
        for key in _keys(event.evidence):
            seen[key] = min(seen.get(key, event.at), event.at)
    times = {}
    for number, finding in enumerate(findings, start=1):
        known = [seen[key] for ref in finding.evidence for key in _keys(ref) if key in seen]
        if known:
            times[number] = min(known)
    return times


def _keys(ref: EvidenceRef) -> Iterator[object]:
    if ref.pid is not None:
        yield ref.pid
    if ref.path:
        yield ref.path.lstrip(b"/")
