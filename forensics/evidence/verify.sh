#!/bin/sh
# Verifies a case with sh, sed, grep, find, sort, sha256sum, ssh-keygen and openssl alone; writes nothing into it.
# Use: sh verify.sh [-s ALLOWED_SIGNERS] [-t TSA_CA.pem] [CASE]      Exit: 0 intact, 3 a problem was found, 2 usage.
# In a case you doubt, do not run the copy inside it: run one that you got elsewhere, and name the case.
set -u; LC_ALL=C; export LC_ALL; signers='' tsa='' failed=0 sealed='' who=''
full() { case $1 in /*|'') printf '%s' "$1";; *) printf '%s/%s' "$PWD" "$1";; esac; }
while getopts s:t: option; do case $option in s) signers=$(full "$OPTARG");; t) tsa=$(full "$OPTARG");; *) exit 2;; esac; done
shift $((OPTIND - 1)); cd -- "${1:-$(dirname -- "$0")}" || exit 2
if [ ! -f custody.jsonl ] || [ ! -f data/case.json ]; then echo 'PROBLEM: this is no case'; exit 3; fi
tmp=$(mktemp -d) || exit 2; trap 'rm -rf "$tmp"' EXIT; touch "$tmp/want" "$tmp/lines" "$tmp/heads"
hexes() { sed -n 's/^ *00[01]0 - \(.\{47\}\).*/\1/p' | tr -d ' \n-'; }
say() { printf '%s\n' "$*" | tr -c '\n -~' '?'; }; bad() { say "PROBLEM: $*"; failed=1; }
sum() { set -- "$(sha256sum <"$1")"; printf '%s\n' "${1%% *}"; }; field() { sed -n "s/^$1: //p" "$2"; }
each() { while IFS= read -r name; do bad "$name$2"; done <"$1"; }
check() { sha256sum -c "$1" 2>/dev/null | sed '/: OK$/d' >"$tmp/bad"; each "$tmp/bad" ''; }
lines() { if grep -v "^[0-9a-f]\{64\}  $2\$" "$1" >"$tmp/bad" || grep -q '\.\./' "$1"; then bad "$1 holds a line that is no digest of ours"; fi; }
# (1) Shape: nothing but files of ours; no links, no devices, nothing that is to be fetched from elsewhere.
for name in * .*; do case $name in
  data|seals|transfers|analysis|report) [ -d "$name" ] || bad "$name is no folder";;
  .reserve|custody.jsonl|verify.sh|bagit.txt|bag-info.txt|manifest-sha256.txt|tagmanifest-sha256.txt) [ -f "$name" ] || bad "$name is no file";;
  .|..|'*') ;; *) bad "$name does not belong to a case";; esac; done
find . ! -type f ! -type d >"$tmp/odd"; each "$tmp/odd" ' is a link or no file'; [ ! -s "$tmp/odd" ] || exit 3 # reading one could lead elsewhere, or never end
for name in custody.jsonl data/case.json data/items.jsonl data/ledger.jsonl; do
  [ ! -f $name ] || [ "$(tr -d '\n -~' <$name | wc -c)" -eq 0 ] || { bad "$name holds bytes that no record has"; exit 3; }; done
if [ -e seals ] || [ -e manifest-sha256.txt ] || grep -q '"action":"seal"' custody.jsonl; then sealed=1; [ ! -e .reserve ] || bad '.reserve does not belong to a sealed case'; fi
# (2) Custody: every line names its number, the digest of the raw line before it, and this case.
id=$(sed -n 's/^ "id": "\(IR-[0-9A-Za-z-]*\)",*$/\1/p' data/case.json) count=0 head=$(printf '%064d' 0)
while IFS= read -r line; do count=$((count + 1))
  case $line in "{\"seq\":$count,\"prev\":\"$head\",\"ts_utc\":\""*",\"case_id\":\"$id\",\"evidence_ids\":["*'}') ;;
    *) bad "custody.jsonl line $count does not continue the chain of this case";; esac
  head=$(printf '%s\n' "$line" | sha256sum); head=${head%% *}; echo "$head" >>"$tmp/heads"
done <custody.jsonl; [ -z "$line" ] || say 'unfinished: the last line of custody.jsonl is torn'
sed 1q custody.jsonl | grep -q "\"hash_after\":\"sha256:$(sum data/case.json)\"" || bad 'data/case.json is not what was recorded'
# (3) Items: each line stands in the custody log, in order; each has its bytes (a folder: those that its listing names).
if [ -f data/items.jsonl ]; then while IFS= read -r line; do
  printf '%s\n' "$line" | sha256sum | cut -c1-64 >>"$tmp/lines"
  printf '%s\n' "$line" | sed 's|^{"id":"E[0-9]*","path":"\(data/E[A-Za-z0-9/._-]*\)","sha256":"\([0-9a-f]*\)",.*}$|\2  \1|' >"$tmp/item"
  read -r hash path <"$tmp/item"
  if [ -d "$path" ]; then path=$path.sha256; cat "$path" >>"$tmp/want" || bad "$path is missing"; fi
  printf '%s  %s\n' "$hash" "$path" >>"$tmp/want"
done <data/items.jsonl; fi
lines "$tmp/want" 'data/E[A-Za-z0-9/._-]*'
sed -n '/"action":"acquire"/s/.*"details":{"item_line":"\([0-9a-f]*\)".*/\1/p' custody.jsonl >"$tmp/attested"
if cmp -s "$tmp/lines" "$tmp/attested"; then :
elif [ -z "$sealed" ] && sed '$d' "$tmp/lines" | cmp -s - "$tmp/attested"; then say 'unfinished: the last item has no custody entry'
else bad 'data/items.jsonl and custody.jsonl do not hold the same items'; fi
find data -type f | sort >"$tmp/present"
# (4) Bytes: of every item while the case is open; once it is sealed, of everything below data, as the manifest lists it.
# What is there of analysis and report (derived, so it may be missing) must be as it was last recorded.
grep -oE '"analysis/[a-z]+\.jsonl?":"[0-9a-f]{64}"|"action":"report",.*"hash_after":"sha256:[0-9a-f]{64}",.*"path":"report/[a-z.]+"}}$' custody.jsonl |
  sed 's|^"\(analysis/.*\)":"\(.*\)"$|\2  \1|; s|.*"hash_after":"sha256:\(.\{64\}\)",.*"path":"\(.*\)"}}$|\1  \2|' |
  while read -r hash name; do [ ! -f "$name" ] || printf '%s  %s\n' "$hash" "$name" >"$tmp/derived-${name%%/*}-${name#*/}"; done
for file in "$tmp"/derived-*; do [ ! -f "$file" ] || check "$file"; done
if [ -z "$sealed" ]; then check "$tmp/want"
  { cut -c67- "$tmp/want"; echo data/case.json; echo data/items.jsonl; echo data/ledger.jsonl; } |
    sort | comm -13 - "$tmp/present" >"$tmp/extra"
  while IFS= read -r name; do
    folder=${name#data/}; folder=${folder%%[/.]*}
    case $name in data/E[0-9]*-*) grep -q "^.\{66\}data/${folder}[/.]" "$tmp/want" || { say "unfinished: $name"; continue; };; esac
    bad "$name is in no record"
  done <"$tmp/extra"
  [ -z "$signers$tsa" ] || bad 'there is no seal: nothing that the given anchors could vouch for'
  [ $failed = 1 ] && exit 3; echo 'intact so far, unsealed'; exit 0
fi
for name in bagit.txt bag-info.txt manifest-sha256.txt tagmanifest-sha256.txt seals/0001/seal.txt; do
  [ -f $name ] || { bad "$name is missing: sealing was interrupted, or the seal was taken away"; exit 3; }; done
lines manifest-sha256.txt 'data/[A-Za-z0-9/._-]*'; lines tagmanifest-sha256.txt '[a-z0-9.-]*'
cut -c67- manifest-sha256.txt | sort | comm -13 - "$tmp/present" >"$tmp/extra"; each "$tmp/extra" ' is not in the manifest'
grep -vxFf manifest-sha256.txt "$tmp/want" >"$tmp/extra" && bad "an item differs from the manifest: $(cut -c67- "$tmp/extra")"
[ "$(cut -c67- tagmanifest-sha256.txt | tr '\n' ' ')" = 'bag-info.txt bagit.txt manifest-sha256.txt verify.sh ' ] ||
  bad 'tagmanifest-sha256.txt does not list what it must'
check manifest-sha256.txt; check tagmanifest-sha256.txt
# (5) Seals: each names this case, the seal before it, the custody head and the manifests, and is signed by its signer.
number=0 last=none; for dir in seals/*; do
  number=$((number + 1)) seal=$dir/seal.txt sig=$dir/seal.txt.sig tsr=$dir/seal.txt.sig.tsr stamp='no timestamp'
  { [ "$dir" = "$(printf 'seals/%04d' $number)" ] && [ -f "$seal" ] && [ -f "$sig" ]; } || { bad "$dir is no whole seal $number"; continue; }
  upto=$(field custody-entries "$seal"); case $upto in ''|0*|*[!0-9]*) upto=1;; esac
  printf 'ir-seal: 1\ncase: %s\nseal: %04d\nprevious-seal: %s\ncustody-entries: %s\ncustody-head: %s\ntagmanifest-sha256: %s\n' \
    "$id" $number "$last" "$upto" "$(sed -n "${upto}p" "$tmp/heads")" "$(sum tagmanifest-sha256.txt)" >"$tmp/seal"
  sed 7q "$seal" | cmp -s - "$tmp/seal" || bad "$seal does not fit this case: its place, custody.jsonl or tagmanifest-sha256.txt differ"
  last=$(sum "$seal"); ssh-keygen -Y check-novalidate -n ir-custody -s "$sig" <"$seal" >"$tmp/ssh" 2>&1 || bad "$sig is no signature of $seal"
  key=$(sed -n 's|.* key \(SHA256:[A-Za-z0-9+/]*\).*|\1|p' "$tmp/ssh")
  [ "$key" = "$(field signer "$seal")" ] || bad "$sig was made with another key than $seal says"
  [ -z "$signers" ] || { who=$(ssh-keygen -Y find-principals -s "$sig" -f "$signers" 2>/dev/null | sed 1q)
    ssh-keygen -Y verify -f "$signers" -I "$who" -n ir-custody -s "$sig" <"$seal" >"$tmp/ssh" 2>&1; } || bad "$dir: signer $key is not among the allowed signers"
# (6) Timestamps (RFC 3161): over the signature; the authority's certificate comes from outside, or stays unknown.
  [ ! -f "$sig.tsq" ] || stamp='timestamp pending'; [ -f "$tsr" ] || { case $(field timestamp "$seal")${tsa:+!}$stamp in
    requested!*|requestedno*) bad "$dir: the timestamp that was requested is missing";; esac; continue; }
  stamp='timestamp of an unknown authority'; openssl ts -reply -in "$tsr" -token_out -out "$tmp/token" 2>/dev/null
  openssl cms -verify -noverify -inform DER -in "$tmp/token" -out "$tmp/tst" 2>/dev/null || bad "$tsr is damaged"
  [ "$(openssl ts -reply -in "$tsr" -text 2>/dev/null | hexes)" = "$(sum "$sig")" ] || bad "$tsr is of another signature"
  [ -z "$tsa" ] || { stamp='timestamp verified'; openssl ts -verify -data "$sig" -in "$tsr" -CAfile "$tsa" >"$tmp/tst" 2>&1; } || bad "$tsr is not of this timestamp authority"
done
grep -oE '"(seals|transfers)/[0-9]{4}/[a-z.]+":"[0-9a-f]{64}"' custody.jsonl | sed 's|"\(.*\)":"\(.*\)"|\2  \1|' | sort -u >"$tmp/want"; check "$tmp/want"
find seals transfers -type f 2>/dev/null | sort >"$tmp/present"; cut -c67- "$tmp/want" | sort -u | comm -13 - "$tmp/present" >"$tmp/extra"
each "$tmp/extra" ' is not in the custody log'
[ $failed = 1 ] && exit 3; [ $count -le $((upto + 1)) ] || echo "note: entries after the last seal, chained but not signed: $((count - upto - 1))"
grep -qx 'state: complete' "$seal" || { echo "intact but incomplete: acts without an end were sealed; signer $key"; exit 1; }
if [ -n "$signers" ]; then say "verified: $number seals, signer $who $key, $stamp"; else say "intact, signer unknown: $key, $stamp"; fi
