/* Cryptocurrency miners by what they need: a pool protocol, an algorithm, a wallet. Own rules, Apache-2.0. */

rule miner_configuration
{
    meta:
        title = "Configuration of a cryptocurrency miner"
        severity = "critical"
        confidence = "high"
        attack = "T1496.001"
        why = "Names a mining pool, an account and an algorithm."
        benign = "Documentation of a mining program."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $pool_key = /["']?(pools?|pool_url|pool_address|pool_list|stratum|server_url)["']?\s*[:=]/ nocase
        $url = /["']?(url|pool|pool_url|pool_address|server|host|address)["']?\s*[:=]\s*["']?(stratum[12]?\+\w{2,5}:\/\/)?[\w.-]{4,80}:\d{2,5}/ nocase
        $user = /["']?(user|wallet|wallet_address|login|username)["']?\s*[:=]\s*["']?([48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}|0x[0-9a-fA-F]{40}|[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[0-9a-z]{20,70}|[A-Za-z0-9]{30,110}[.+]\w{1,30})/ nocase
        $algorithm = /["']?(algo|algorithm|coin|currency)["']?\s*[:=]\s*["']?(rx\/|randomx|cryptonight|cn[\/-]|kawpow|ethash|etchash|argon2|astrobwt|ghostrider|yespower|monero|xmr|ravencoin|etc\b|verushash|autolykos)/ nocase
        $tuning = /["'](donate-level|huge-pages|max-threads-hint|cpu-affinity|hash-order|rig-id|nicehash|asm|yield)["']\s*:/
    condition:
        filesize < 1MB and (($url and $algorithm and ($user or $pool_key or $tuning)) or ($pool_key and $url and ($user or #tuning > 1)) or ($user and $algorithm and $tuning) or #tuning > 4)
}

rule miner_stratum_address
{
    meta:
        title = "Address of a mining pool in the stratum protocol"
        severity = "high"
        confidence = "high"
        attack = "T1496.001"
        why = "Only miners and pools speak stratum."
        benign = "Block lists and detection rules quote such addresses."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $address = /stratum[12]?\+(tcp|ssl|tls|udp|http|https)s?:\/\/[\w.-]{4,80}:\d{2,5}/ nocase ascii wide
        $short = /stratum:\/\/[\w.-]{4,80}:\d{2,5}/ nocase ascii wide
    condition:
        filesize < 200MB and any of them and #address + #short < 400
}

rule miner_protocol_client
{
    meta:
        title = "Program that speaks a mining protocol"
        severity = "critical"
        confidence = "medium"
        attack = "T1496.001"
        why = "Holds the words of the stratum protocol together with mining algorithms or options."
        benign = "Mining pool software; detection tools."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $subscribe = "mining.subscribe" ascii wide
        $authorize = "mining.authorize" ascii wide
        $submit = "mining.submit" ascii wide
        $notify = "mining.notify" ascii wide
        $job = /"method"\s*:\s*"(login|submit|keepalived|job)"/ ascii
        $nonce = "\"nonce\"" ascii
        $scheme = /stratum[12]?\+(tcp|ssl|tls)/ ascii wide nocase
        $algorithm = /\b(randomx|cryptonight|kawpow|argon2\/chukwa|astrobwt|ghostrider|rx\/0|cn\/r|yespower|ethash)\b/ nocase ascii wide
        $option = /(donate-level|cpu-max-threads-hint|randomx-1gb-pages|huge-pages|hashrate|max-cpu-usage|print-time)/ ascii
        $device = /\b(hashrate|H\/s|nonces?|shares? accepted)\b/ nocase ascii
    condition:
        filesize < 200MB and (3 of ($subscribe, $authorize, $submit, $notify) or ($scheme and $algorithm and $option) or (2 of ($subscribe, $authorize, $submit, $notify) and ($algorithm or $scheme)) or (#job > 1 and $nonce and ($algorithm or $scheme or $device)))
}

rule miner_browser
{
    meta:
        title = "Script that mines in visitors' browsers"
        severity = "high"
        confidence = "medium"
        attack = "T1496.001"
        why = "Loads a mining core and gives it a wallet or site key."
        benign = "Block lists."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $core = /(cryptonight|randomx)[\w.-]{0,20}\.(wasm|asm\.js)/ nocase
        $start = /new\s+\w{0,20}(Miner|Hive|Mine)\w{0,20}(\.(Anonymous|User))?\s*\(\s*["'][\w-]{16,110}["']/
        $throttle = /setThrottle|throttle\s*:\s*0\.\d/
    condition:
        filesize < 5MB and ($start and ($core or $throttle))
}
