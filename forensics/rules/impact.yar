/* Ransom notes, encryption, theft of credentials, packed programs, scanners. Own rules, Apache-2.0. */

rule ransom_note
{
    meta:
        title = "Ransom note"
        severity = "critical"
        confidence = "high"
        attack = "T1486, T1491.001"
        why = "Says that data is encrypted or taken, and how to pay."
        benign = "Reports and training material that quote such notes."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $taken1 = /(files|data|databases?|documents|servers?|network|backups?|systems?|tables?)\s[^\n.]{0,60}(been|was|were|are|is)\s[^\n.]{0,30}(encrypted|locked|stolen|exfiltrated|downloaded|backed up by us)/ nocase
        $taken2 = /we\s+(have\s+)?(encrypted|locked|stolen|downloaded|taken)\s[^\n.]{0,60}(files|data|databases?|documents|servers?)/ nocase
        $pay1 = /(pay|send|transfer|payment|ransom)[^\n]{0,100}(bitcoins?|btc|monero|xmr|usdt|ethereum|\bcrypto)/ nocase
        $pay2 = /(bitcoins?|btc|monero|xmr|usdt)[^\n]{0,80}(wallet|address|to\s+(this|the\s+following))/ nocase
        $recover = /(decrypt|recover|restore|get\s+back|unlock)[^\n.]{0,80}(files|data|key|tool|software|them|your|databases?)/ nocase
        $threat = /(do\s+not|don'?t|never)[^\n.]{0,50}(rename|modify|delete|shut\s?down|third.party|recovery\s+(software|compan)|contact\s+(the\s+)?police|restore)/ nocase
        $deadline = /(within|in|you\s+have)\s+\d{1,3}\s*(hours?|days?|h\b)[^\n]{0,120}/ nocase
        $contact = /([\w.+-]{2,60}@[\w-]{2,40}\.\w{2,12}|[a-z2-7]{16,56}\.onion|\bTox\s*ID|telegram|session\s+id)/ nocase
        $publish = /(publish|leak|sell|sold|release)[^\n.]{0,50}(data|files|information|database)/ nocase
    condition:
        filesize < 128KB and any of ($taken*) and 2 of ($pay1, $pay2, $recover, $threat, $deadline, $publish) and (any of ($pay*) or ($contact and ($threat or $publish)))
}

rule file_encryptor_script
{
    meta:
        title = "Script that encrypts files and removes the originals"
        severity = "critical"
        confidence = "medium"
        attack = "T1486"
        why = "Walks over files, encrypts each, deletes the original."
        benign = "Backup scripts encrypt copies; they do not delete what they saved."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $walk = /(find\s+["']?[\/$.~]|os\.walk\s*\(|for\s+\w+\s+in\s|glob\.glob|rglob\s*\(|\bwhile\s+(IFS=\S{0,4}\s+)?read\b|filepath\.Walk|RecursiveDirectoryIterator|xargs)/
        $shell = /openssl\s+(enc|aes-\d{3}-\w{3}|rsautl|smime|pkeyutl)\s[^\n]{0,200}-(in|e|encrypt)\b/
        $gpg = /gpg2?\s[^\n]{0,120}(--symmetric|-c\b|--encrypt|-e\b)/
        $python = /(Fernet\s*\(|AES\.new\s*\(|ChaCha20\w{0,10}\s*[.(]|AESGCM\s*\(|SecretBox\s*\()/
        $seven = /(7z|7za|zip|rar)\s+a?\s?[^\n]{0,60}-p["']?[\w$]{6,}/
        $remove_shell = /(\brm\s+-?\w{0,4}\s{0,2}["']?\$|shred\s+[^\n]{0,20}-\w{0,5}u|\bunlink\s|-delete\b|\brm\s+-f\s+\{\})/
        $remove_code = /(os\.(remove|unlink|replace|rename)|\.unlink\s*\(|Path\S{0,40}unlink)\s*\(/
        $note = /(README|RECOVER|DECRYPT|HOW.?TO|RESTORE|RANSOM|YOUR.?FILES)[\w.-]{0,30}\.(txt|html|md|hta)/ nocase
        $extension = /\$\{?\w{1,20}\}?["']?\.(enc|locked|crypt\w{0,4}|encrypted|lock|pay\w{0,8}|crypted)\b|\+\s*["']\.(enc|locked|crypt\w{0,4}|encrypted|lock)["']/ nocase
    condition:
        filesize < 256KB and uint32(0) != 0x464c457f and $walk and ((any of ($shell, $gpg, $seven) and $remove_shell) or ($python and $remove_code)) and ($note or $extension)
}

rule credential_harvester
{
    meta:
        title = "Script that gathers credentials of many kinds"
        severity = "high"
        confidence = "medium"
        attack = "T1552.001, T1552.004, T1003.008"
        why = "Names the places where several kinds of credentials live, and collects or sends them."
        benign = "Secret scanners and backup lists name the same places."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $ssh = /\.ssh\/(id_(rsa|ed25519|dsa|ecdsa)|authorized_keys|known_hosts|\*|config)/
        $aws = ".aws/credentials"
        $kube = ".kube/config"
        $docker = ".docker/config.json"
        $gcloud = /(gcloud\/(credentials|legacy_credentials|access_tokens)|application_default_credentials)/
        $azure = ".azure/"
        $git = ".git-credentials"
        $shadow = "/etc/shadow"
        $environ = /\/proc\/(\*|\$\{?\w{1,12}\}?|\[0-9\]\S{0,3}|self|"\s*\+)\/environ/
        $netrc = /\.(netrc|pgpass|my\.cnf|npmrc|pypirc|s3cfg|boto)\b/
        $env_file = /-name\s+["']?\.env/
        $token = "/secrets/kubernetes.io/serviceaccount/token"
        $metadata = /169\.254\.169\.254|metadata\.google\.internal|169\.254\.170\.2/
        $history = /\.(bash|zsh)_history/
        $collect = /\b(tar|zip|cat|cp|curl|base64|nc|scp|grep|requests\.post|urlopen|shutil\.|open\s*\()/
        $send = /(curl\s[^\n]{0,160}(-F|-T|--upload-file|-d|--data\S{0,8}|-X\s*(POST|PUT))|wget\s[^\n]{0,80}--post|requests\.(post|put)\s*\(|\bnc\s+(-\w+\s+)?[\w.$]+\s+[\d$]|\/dev\/tcp\/|urlopen\s*\(|http\.client|scp\s+\S+\s+\S+@)/
        $archive = /\b(tar\s+\S{0,8}c\S{0,4}|zip\s+-r)\s[^\n]{0,60}(\/tmp|\/var\/tmp|\/dev\/shm)\//
    condition:
        filesize < 256KB and uint32(0) != 0x464c457f and $collect and
        (4 of ($ssh, $aws, $kube, $docker, $gcloud, $azure, $git, $shadow, $environ, $netrc, $env_file, $token, $metadata, $history) and ($send or $archive) or
         (2 of ($ssh, $aws, $kube, $docker, $gcloud, $azure, $git, $shadow, $environ, $netrc, $env_file, $token, $metadata) and $send and filesize < 16KB))
}

rule cloud_metadata_theft
{
    meta:
        title = "Script that fetches cloud credentials from the metadata service"
        severity = "high"
        confidence = "medium"
        attack = "T1552.005"
        why = "Asks the metadata service for the machine's own credentials."
        benign = "Vendors' agents and start-up scripts; client libraries in large packages."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $aws = /169\.254\.169\.254\/latest\/(meta-data\/iam|api\/token|dynamic\/instance-identity|user-data)/
        $ecs = /169\.254\.170\.2(\$|\/v\d\/credentials)|AWS_CONTAINER_CREDENTIALS_RELATIVE_URI/
        $google = /(metadata\.google\.internal|169\.254\.169\.254)\/computeMetadata\/v1\/instance\/service-accounts/
        $azure = /169\.254\.169\.254\/metadata\/identity\/oauth2\/token/
        $fetch = /\b(curl|wget|requests\.|urlopen|http\.get|fetch\s*\()/
    condition:
        filesize < 64KB and uint32(0) != 0x464c457f and any of ($aws, $ecs, $google, $azure) and $fetch
}

rule packed_elf
{
    meta:
        title = "Program packed with UPX or a variant of it"
        severity = "medium"
        confidence = "high"
        attack = "T1027.002"
        why = "Packing hides what a program contains; attackers change the packer's marks to defeat unpacking."
        benign = "Some vendors ship single-file tools packed with UPX."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $mark = "UPX!"
        $info = "$Info: This file is packed with the UPX executable packer"
        $id = "$Id: UPX "
        $proc = "PROT_EXEC|PROT_WRITE failed."
    condition:
        uint32(0) == 0x464c457f and (($mark in (0..1024) and ($info or $id or $proc)) or ($mark in (0..512)) or ($mark in (filesize-64..filesize)) or ($proc and filesize < 20MB))
}

rule scanner_worm
{
    meta:
        title = "Script that scans for and enters other systems"
        severity = "high"
        confidence = "medium"
        attack = "T1046, T1210, T1021.004"
        why = "Scans networks, or logs in to every host it knows of, and runs itself there."
        benign = "Administrators' deployment scripts name their hosts; they do not take them from known_hosts."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $scan = /\b(masscan|zgrab2?|pnscan|zmap)\b[^\n]{0,120}(-p|--rate|-oL|-iL|\d+\.\d+\.\d+)/
        $known = /known_hosts[\s\S]{0,800}\bssh\s[^\n]{0,120}(StrictHostKeyChecking[= ]no|BatchMode[= ]yes)/
        $loop_ssh = /for\s+\w+\s+in\s[\s\S]{0,500}\bssh\s[^\n]{0,120}StrictHostKeyChecking[= ]no[\s\S]{0,200}(curl|wget|bash|sh\s)/
        $redis = /redis-cli\s[^\n]{0,60}-h[\s\S]{0,300}config\s+set\s+(dir|dbfilename)/
        $redis_raw = /config\s+set\s+dir\s+\/?(var\/spool\/cron|etc\/cron|root\/\.ssh)/ nocase
        $docker_api = /:2375\/(v[\d.]+\/)?(containers|images|info|version)[\s\S]{0,400}(masscan|for\s+\w+\s+in|while)/
        $range = /for\s+\w+\s+in\s[^\n]{0,40}(seq\s+1\s+25[0-5]|\{1\.\.25[0-5]\})[\s\S]{0,300}(\/dev\/tcp\/|\bnc\s+-\w{0,5}z|ping\s+-c)/
    condition:
        filesize < 512KB and uint32(0) != 0x464c457f and any of them
}

rule backdoor_account_script
{
    meta:
        title = "Script that leaves back doors: accounts, keys, set-uid shells, start-up entries"
        severity = "high"
        confidence = "medium"
        attack = "T1098.004, T1136.001, T1053.003, T1548.001"
        why = "Does two or more of the things that keep an intruder in."
        benign = "Provisioning scripts of whole servers."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $key = /(>>|tee\s+-a)\s{0,3}["']?\S{0,60}\.ssh\/authorized_keys/
        $passwd = /(>>|tee\s+-a)\s{0,3}["']?\/etc\/(passwd|shadow|sudoers)/
        $uid0 = /\b(useradd|adduser)\b[^\n]{0,80}(-o\b[^\n]{0,30}-u\s?0|-u\s?0\b)/
        $cron = /\|\s*crontab\s+-|(>>?|tee)\s{0,3}["']?\/(etc\/cron|var\/spool\/cron)/
        $setuid = /chmod\s+([ug]?\+s|[0-7]?[4267][0-7]{3})\s+\S{0,60}(sh|\/tmp\/\S+|\/dev\/shm\/\S+|\/var\/tmp\/\S+)/
        $preload = /(>>?|tee)\s{0,3}["']?\/etc\/ld\.so\.preload/
        $rc = /(>>|tee\s+-a)\s{0,3}["']?(~|\$HOME|\/root|\/home\/\S{1,40})\/\.(bashrc|profile|bash_profile|zshrc)/
        $service = /(>|tee)\s{0,3}["']?\/(etc|lib|usr\/lib)\/systemd\/system\/\S+\.(service|timer)/
        $immutable = /chattr\s+\+\w{0,4}i/
        $fetch = /\b(curl|wget)\b[^\n]{0,100}https?:\/\//
    condition:
        filesize < 256KB and uint32(0) != 0x464c457f and (2 of ($key, $passwd, $uid0, $cron, $setuid, $preload) or (1 of ($key, $passwd, $uid0, $cron, $setuid, $preload, $rc, $service) and $immutable and $fetch) or $preload)
}

rule password_hashes_copied
{
    meta:
        title = "The password file was copied or packed"
        severity = "high"
        confidence = "medium"
        attack = "T1003.008, T1074.001"
        why = "Lines of /etc/shadow lie outside the place where the system keeps them, alone or in a small archive."
        benign = "A backup of the accounts alone, made by an administrator."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $line = /(^|\n|\x00)root:[!*$.\/\w,=]{0,200}:\d{0,6}:\d{1,6}:\d{1,6}:\d{1,3}:/
        $member = /etc\/shadow-?\x00{60}/
    condition:
        filesize < 256KB and $line and
        ($member or (@line[1] < 2 and filepath != "" and not filepath matches /(^|\/)etc\/g?shadow[^\/]*$|(^|\/)var\/backups\/shadow|\/share\/base-passwd\//))
}
