"""MITRE ATT&CK technique ids to names and tactics: Enterprise v19.2, what applies to Containers and Linux. Data only.

Names, tactics and replaced ids were compared with the release of April 2026 and its point release 19.2
(https://attack.mitre.org/resources/updates/updates-april-2026/), as public copies of its STIX bundle state them. Since
v19 "Defense Evasion" is two tactics: Stealth (which kept TA0005) and Defense Impairment (TA0112). A technique's first
tactic is the one under which a report tells it. Only techniques that a container's evidence can show are listed.
"""

from __future__ import annotations

TACTICS = {
    "reconnaissance": ("TA0043", "Reconnaissance"),
    "initial-access": ("TA0001", "Initial Access"),
    "execution": ("TA0002", "Execution"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "Privilege Escalation"),
    "stealth": ("TA0005", "Stealth"),
    "defense-impairment": ("TA0112", "Defense Impairment"),
    "credential-access": ("TA0006", "Credential Access"),
    "discovery": ("TA0007", "Discovery"),
    "lateral-movement": ("TA0008", "Lateral Movement"),
    "collection": ("TA0009", "Collection"),
    "command-and-control": ("TA0011", "Command and Control"),
    "exfiltration": ("TA0010", "Exfiltration"),
    "impact": ("TA0040", "Impact"),
}
"""Tactics in the order of the matrix, which is the order in which an intrusion is told."""

REPLACED = {
    "T1562": "T1685",
    "T1562.001": "T1685",
    "T1562.002": "T1685.001",
    "T1562.003": "T1690",
    "T1562.004": "T1686",
    "T1562.006": "T1685",
    "T1562.007": "T1686.001",
    "T1562.008": "T1685.002",
    "T1562.009": "T1688",
    "T1562.010": "T1689",
    "T1562.011": "T1685.003",
    "T1562.012": "T1685.004",
    "T1562.013": "T1686.002",
    "T1070.001": "T1685.005",
    "T1070.002": "T1685.006",
    "T1656": "T1684.001",
    "T1672": "T1684.002",
    "T1574.002": "T1574.001",
}
"""Ids that ATT&CK revoked, to what took their place; rules that others wrote still use them."""

TABLE = """
T1595 reconnaissance|Active Scanning
T1595.001 reconnaissance|Scanning IP Blocks
T1595.002 reconnaissance|Vulnerability Scanning
T1190 initial-access|Exploit Public-Facing Application
T1133 initial-access,persistence|External Remote Services
T1195 initial-access|Supply Chain Compromise
T1195.001 initial-access|Compromise Software Dependencies and Development Tools
T1195.002 initial-access|Compromise Software Supply Chain
T1199 initial-access|Trusted Relationship
T1078 initial-access,persistence,privilege-escalation,stealth|Valid Accounts
T1078.001 initial-access,persistence,privilege-escalation,stealth|Default Accounts
T1078.003 initial-access,persistence,privilege-escalation,stealth|Local Accounts
T1609 execution|Container Administration Command
T1610 execution|Deploy Container
T1059 execution|Command and Scripting Interpreter
T1059.004 execution|Unix Shell
T1059.006 execution|Python
T1059.007 execution|JavaScript
T1059.011 execution|Lua
T1059.013 execution|Container CLI/API
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
T1204.005 execution|Malicious Library
T1569 execution|System Services
T1569.003 execution|Systemctl
T1677 execution|Poisoned Pipeline Execution
T1098 persistence,privilege-escalation|Account Manipulation
T1098.004 persistence,privilege-escalation|SSH Authorized Keys
T1098.006 persistence,privilege-escalation|Additional Container Cluster Roles
T1098.007 persistence,privilege-escalation|Additional Local or Domain Groups
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
T1546.005 persistence,privilege-escalation|Trap
T1546.016 persistence,privilege-escalation|Installer Packages
T1546.017 persistence,privilege-escalation|Udev Rules
T1546.018 persistence,privilege-escalation|Python Startup Hooks
T1547 persistence,privilege-escalation|Boot or Logon Autostart Execution
T1547.006 persistence,privilege-escalation|Kernel Modules and Extensions
T1547.013 persistence,privilege-escalation|XDG Autostart Entries
T1554 persistence|Compromise Host Software Binary
T1556 persistence,defense-impairment,credential-access|Modify Authentication Process
T1556.003 persistence,defense-impairment,credential-access|Pluggable Authentication Modules
T1068 privilege-escalation|Exploitation for Privilege Escalation
T1548 privilege-escalation|Abuse Elevation Control Mechanism
T1548.001 privilege-escalation|Setuid and Setgid
T1548.003 privilege-escalation|Sudo and Sudo Caching
T1611 privilege-escalation|Escape to Host
T1574 stealth,execution|Hijack Execution Flow
T1574.001 stealth,execution|DLL
T1574.006 stealth,execution|Dynamic Linker Hijacking
T1574.007 stealth,execution|Path Interception by PATH Environment Variable
T1055 stealth,privilege-escalation|Process Injection
T1055.008 stealth,privilege-escalation|Ptrace System Calls
T1055.009 stealth,privilege-escalation|Proc Memory
T1055.014 stealth,privilege-escalation|VDSO Hijacking
T1014 stealth|Rootkit
T1027 stealth|Obfuscated Files or Information
T1027.002 stealth|Software Packing
T1027.004 stealth|Compile After Delivery
T1027.009 stealth|Embedded Payloads
T1027.010 stealth|Command Obfuscation
T1027.011 stealth|Fileless Storage
T1027.013 stealth|Encrypted/Encoded File
T1027.015 stealth|Compression
T1027.018 stealth|Invisible Unicode
T1036 stealth|Masquerading
T1036.002 stealth|Right-to-Left Override
T1036.003 stealth|Rename Legitimate Utilities
T1036.004 stealth|Masquerade Task or Service
T1036.005 stealth|Match Legitimate Resource Name or Location
T1036.006 stealth|Space after Filename
T1036.007 stealth|Double File Extension
T1036.008 stealth|Masquerade File Type
T1036.009 stealth|Break Process Trees
T1036.010 stealth|Masquerade Account Name
T1036.011 stealth|Overwrite Process Arguments
T1070 stealth|Indicator Removal
T1070.003 stealth|Clear Command History
T1070.004 stealth|File Deletion
T1070.006 stealth|Timestomp
T1070.007 stealth|Clear Network Connection History and Configurations
T1070.009 stealth|Clear Persistence
T1070.010 stealth|Relocate Malware
T1140 stealth|Deobfuscate/Decode Files or Information
T1205 stealth,persistence,command-and-control|Traffic Signaling
T1205.001 stealth,persistence,command-and-control|Port Knocking
T1205.002 stealth,persistence,command-and-control|Socket Filters
T1480 stealth|Execution Guardrails
T1480.002 stealth|Mutual Exclusion
T1497 stealth,discovery|Virtualization/Sandbox Evasion
T1564 stealth|Hide Artifacts
T1564.001 stealth|Hidden Files and Directories
T1564.002 stealth|Hidden Users
T1564.011 stealth|Ignore Process Interrupts
T1564.013 stealth|Bind Mounts
T1564.014 stealth|Extended Attributes
T1612 stealth|Build Image on Host
T1620 stealth|Reflective Code Loading
T1622 stealth,discovery|Debugger Evasion
T1678 stealth|Delay Execution
T1684 stealth|Social Engineering
T1684.001 stealth|Impersonation
T1684.002 stealth|Email Spoofing
T1222 defense-impairment|File and Directory Permissions Modification
T1222.002 defense-impairment|Linux and Mac Permissions
T1553 defense-impairment|Subvert Trust Controls
T1553.004 defense-impairment|Install Root Certificate
T1599 defense-impairment|Network Boundary Bridging
T1601 defense-impairment|Modify System Image
T1685 defense-impairment|Disable or Modify Tools
T1685.001 defense-impairment|Disable or Modify Windows Event Log
T1685.002 defense-impairment|Disable or Modify Cloud Log
T1685.003 defense-impairment|Modify or Spoof Tool UI
T1685.004 defense-impairment|Disable or Modify Linux Audit System Log
T1685.005 defense-impairment|Clear Windows Event Logs
T1685.006 defense-impairment|Clear Linux or Mac System Logs
T1686 defense-impairment|Disable or Modify System Firewall
T1686.001 defense-impairment|Cloud Firewall
T1686.002 defense-impairment|Network Device Firewall
T1687 defense-impairment|Exploitation for Defense Impairment
T1688 defense-impairment|Safe Mode Boot
T1689 defense-impairment|Downgrade Attack
T1690 defense-impairment|Prevent Command History Logging
T1003 credential-access|OS Credential Dumping
T1003.007 credential-access|Proc Filesystem
T1003.008 credential-access|/etc/passwd and /etc/shadow
T1040 credential-access,discovery|Network Sniffing
T1056 credential-access,collection|Input Capture
T1056.001 credential-access,collection|Keylogging
T1110 credential-access|Brute Force
T1110.001 credential-access|Password Guessing
T1110.002 credential-access|Password Cracking
T1110.003 credential-access|Password Spraying
T1110.004 credential-access|Credential Stuffing
T1528 credential-access|Steal Application Access Token
T1552 credential-access|Unsecured Credentials
T1552.001 credential-access|Credentials In Files
T1552.003 credential-access|Shell History
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
T1654 discovery|Log Enumeration
T1021 lateral-movement|Remote Services
T1021.004 lateral-movement|SSH
T1210 lateral-movement|Exploitation of Remote Services
T1550 lateral-movement|Use Alternate Authentication Material
T1550.001 lateral-movement|Application Access Token
T1563 lateral-movement|Remote Service Session Hijacking
T1563.001 lateral-movement|SSH Hijacking
T1570 lateral-movement|Lateral Tool Transfer
T1005 collection|Data from Local System
T1074 collection|Data Staged
T1074.001 collection|Local Data Staging
T1119 collection|Automated Collection
T1213 collection|Data from Information Repositories
T1213.006 collection|Databases
T1560 collection|Archive Collected Data
T1560.001 collection|Archive via Utility
T1001 command-and-control|Data Obfuscation
T1008 command-and-control|Fallback Channels
T1071 command-and-control|Application Layer Protocol
T1071.001 command-and-control|Web Protocols
T1071.004 command-and-control|DNS
T1090 command-and-control|Proxy
T1090.001 command-and-control|Internal Proxy
T1090.003 command-and-control|Multi-hop Proxy
T1095 command-and-control|Non-Application Layer Protocol
T1102 command-and-control|Web Service
T1105 command-and-control|Ingress Tool Transfer
T1132 command-and-control|Data Encoding
T1219 command-and-control|Remote Access Tools
T1571 command-and-control|Non-Standard Port
T1572 command-and-control|Protocol Tunneling
T1573 command-and-control|Encrypted Channel
T1020 exfiltration|Automated Exfiltration
T1041 exfiltration|Exfiltration Over C2 Channel
T1048 exfiltration|Exfiltration Over Alternative Protocol
T1048.003 exfiltration|Exfiltration Over Unencrypted Non-C2 Protocol
T1537 exfiltration|Transfer Data to Cloud Account
T1567 exfiltration|Exfiltration Over Web Service
T1567.002 exfiltration|Exfiltration to Cloud Storage
T1567.004 exfiltration|Exfiltration Over Webhook
T1485 impact|Data Destruction
T1486 impact|Data Encrypted for Impact
T1489 impact|Service Stop
T1490 impact|Inhibit System Recovery
T1491 impact|Defacement
T1491.001 impact|Internal Defacement
T1491.002 impact|External Defacement
T1496 impact|Resource Hijacking
T1496.001 impact|Compute Hijacking
T1496.002 impact|Bandwidth Hijacking
T1498 impact|Network Denial of Service
T1499 impact|Endpoint Denial of Service
T1529 impact|System Shutdown/Reboot
T1531 impact|Account Access Removal
T1561 impact|Disk Wipe
T1561.001 impact|Disk Content Wipe
T1561.002 impact|Disk Structure Wipe
T1565 impact|Data Manipulation
T1565.001 impact|Stored Data Manipulation
T1657 impact|Financial Theft
"""
