#!/usr/bin/env bash
# An operator's SBC: Kamailio with sbc.cfg. It becomes the Kamailio process; end it by its pid (its children go with it).
#
#   tests/interop/peers/sbc.sh --dir DIR --carrier-port 25080 --bridge-port 25090 --bridge sip:127.0.0.1:5060 \
#     --far-end sip:phone@127.0.0.1:25300 --number +14255550123 --user partyline --password secret
#
#   --carrier-port   where the carrier's calls arrive; they go to --bridge
#   --bridge-port    where the bridge's calls arrive; after a digest challenge for --user and --password (realm operator.example),
#                    (--algorithm MD5 or SHA-256), a call to --number goes to --far-end, any other gets 404
#   --tls-port PORT  a second port for the bridge, over TLS: it must show a certificate, as we do to it; --bridge may be
#                    "sip:IP:PORT;transport=tls" then
#   --strict NAME    the bridge is paired under this name, and what the Microsoft gateway would refuse is refused at --tls-port
#   --registrar yes  the bridge registers at --bridge-port as --user; --bridge is not used then
#   --certificate FILE --key FILE --roots FILE   for TLS
set -euo pipefail

dir='' carrier_port='' bridge_port='' bridge='' far_end=sip:127.0.0.1:9 number='' user=partyline password=secret algorithm=MD5
tls_port=0 certificate='' key='' roots='' registrar=no strict=''
while (($#)); do
  case $1 in
    --dir) dir=$2 ;;
    --carrier-port) carrier_port=$2 ;;
    --bridge-port) bridge_port=$2 ;;
    --bridge) bridge=$2 ;;
    --far-end) far_end=$2 ;;
    --number) number=$2 ;;
    --tls-port) tls_port=$2 ;;
    --certificate) certificate=$(readlink -f "$2") ;;
    --key) key=$(readlink -f "$2") ;;
    --roots) roots=$(readlink -f "$2") ;;
    --user) user=$2 ;;
    --password) password=$2 ;;
    --algorithm) algorithm=$2 ;;
    --registrar) registrar=$2 ;;
    --strict) strict=$2 ;;
    *) echo "sbc.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
if [ -z "$dir" ] || [ -z "$carrier_port" ] || [ -z "$bridge_port" ] || [ -z "$bridge" ]; then
  echo "sbc.sh: needs --dir, --carrier-port, --bridge-port and --bridge" >&2
  exit 2
fi

kamailio=$(PATH=$PATH:/usr/sbin command -v kamailio) || { echo "sbc.sh: no kamailio; apt-get install kamailio" >&2; exit 1; }
modules=$(compgen -G '/usr/lib/*/kamailio/modules' | head -1)
mkdir -p "$dir"
dir=$(readlink -f "$dir")
sed -e "s#@CARRIER_PORT@#$carrier_port#g" -e "s#@BRIDGE_PORT@#$bridge_port#g" -e "s#@BRIDGE@#$bridge#g" \
  -e "s#@FAR_END@#$far_end#g" -e "s#@NUMBER@#$number#g" -e "s#@USER@#$user#g" -e "s#@PASSWORD@#$password#g" \
  -e "s#@ALGORITHM@#$algorithm#g" \
  -e "s#@STRICT@#$strict#g" -e "s#@TLS_PORT@#$tls_port#g" -e "s#@CERTIFICATE@#$certificate#g" -e "s#@KEY@#$key#g" -e "s#@ROOTS@#$roots#g" \
  -e "s#@MODULES@#$modules/#g" "$(dirname "$(readlink -f "$0")")/sbc.cfg" > "$dir/sbc.cfg"
# -DD: in the foreground, with the children that serve the sockets; -E: log to standard error
with_tls=()
((tls_port == 0)) || with_tls=(-A WITH_TLS)
[ -z "$strict" ] || with_tls+=(-A WITH_STRICT)
[ "$registrar" = no ] || with_tls+=(-A WITH_REGISTRAR)
exec "$kamailio" "${with_tls[@]}" -DD -E -P "$dir/pid" -Y "$dir" -f "$dir/sbc.cfg" -m 64 -M 8
