/* Ways into the network by a third party's relay: configuration files and programs. Own rules, Apache-2.0. */

rule tunnel_configuration
{
    meta:
        title = "Configuration of a tunnel out of the network"
        severity = "high"
        confidence = "medium"
        attack = "T1572, T1090"
        why = "Names a relay outside, and which local port it is to open to whoever asks there."
        benign = "Developers publish local services that way; in a production container nobody should."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $frp_server = /\b(serverAddr|server_addr)\s*=\s*["']?[\w.:-]{4,80}/
        $frp_port = /\b(serverPort|server_port)\s*=\s*\d{1,5}/
        $frp_proxy = /\b(remotePort|remote_port|\[\[proxies\]\]|plugin\s*=\s*"?(socks5|http_proxy)|use_encryption|localPort|local_port)\b/
        $ngrok_token = /\bauthtoken\s*:\s*\S{3,}/
        $ngrok_tunnel = /\n\s*(tunnels|endpoints)\s*:|\n\s*proto\s*:\s*(tcp|http|tls)/
        $cloudflared_tunnel = /(^|\n)tunnel\s*:\s*[\w-]{4,}/
        $cloudflared_file = /credentials-file\s*:|ingress\s*:/
        $rathole = /\[client\][\s\S]{0,200}remote_addr\s*=\s*"[\s\S]{0,400}\[client\.services\./
        $gost = /"?ServeNodes"?|"?ChainNodes"?|forwarder:\s*\n|chain(s|er)?:\s*\n[\s\S]{0,200}hops:/
        $gost_address = /(socks5?|relay|wss?|tls|kcp|quic):\/\/[\w.-]{3,80}:\d{2,5}/
        $wireguard = /\[Interface\][\s\S]{0,400}PrivateKey\s*=[\s\S]{0,400}\[Peer\][\s\S]{0,400}Endpoint\s*=/
    condition:
        filesize < 64KB and uint32(0) != 0x464c457f and (($frp_server and $frp_port and $frp_proxy) or ($ngrok_token and $ngrok_tunnel) or ($cloudflared_tunnel and $cloudflared_file) or $rathole or ($gost and $gost_address) or $wireguard)
}

rule tunnel_program
{
    meta:
        title = "Program made to carry connections out of a network"
        severity = "high"
        confidence = "medium"
        attack = "T1572, T1090"
        why = "Holds the words of a tunnel's client and server: relays, reverse forwards, socks over a web connection."
        benign = "Tools that developers and administrators install on purpose."
        author = "ir"
        license = "Apache-2.0"
    strings:
        $chisel = "jpillora/chisel" ascii
        $frp = "fatedier/frp" ascii
        $ngrok = "ngrok.com" ascii
        $ngrok_agent = /go\.ngrok\.com\/(cmd|lib)\// ascii
        $gost = /github\.com\/(ginuerzh|go-gost)\/gost/ ascii
        $ligolo = /nicocha30\/ligolo-ng|FunnyWolf\/ligolo/ ascii
        $rathole = /rathole(::|\/src\/)/ ascii
        $gsocket = /gs_pty|GSOCKET_ARGS|gs-netcat/ ascii
        $revsocks = "kost/revsocks" ascii
        $iodine = /iodined?: |iodine IP over DNS/ ascii
        $wstunnel = /wstunnel(::|\/src\/)|erebe\/wstunnel/ ascii
        $cloudflared = "cloudflare/cloudflared" ascii
        $bore = /bore_cli|ekzhang\/bore/ ascii
    condition:
        uint32(0) == 0x464c457f and filesize < 80MB and ($chisel or $frp or ($ngrok and $ngrok_agent) or $gost or $ligolo or $rathole or $gsocket or $revsocks or $iodine or $wstunnel or $cloudflared or $bore)
}
