#!/usr/bin/env bash
# A real telephone without a head: baresip, which speaks a WAV file and records what it hears. It becomes the baresip process, so
# that whoever started it ends it by its pid. By hand, against `./x demo --keep`:
#
#   tests/interop/peers/phone.sh --dir out/phone --sip 127.0.0.1:25300 --say config/demo/voices/bob.wav --dial sip:+14255550100@127.0.0.1:5060
#
#   --dir DIR        its configuration and, in DIR/heard/*-dec.wav, what it heard. Created
#   --sip IP:PORT    where it listens (UDP and TCP on PORT, and TLS on PORT + 1)
#   --rtp FROM-TO    its media ports
#   --say WAV        what it says: mono, 16 bit, 8 kHz. It hangs up when the file has ended, so the file is as long as the call
#   --echo           it says what it hears instead
#   --user NAME      its user name; a call must be addressed to it (default phone)
#   --codec NAME     pcmu, pcma, g722, opus (default: whatever is offered)
#   --dtx            leaves silence out of Opus, and asks for the same (usedtx=1)
#   --srtp HOW       srtp (RTP/AVP with a=crypto) or srtp-mand (RTP/SAVP); default: plain RTP
#   --pem FILE       its certificate and key, for SIP over TLS
#   --roots FILE     whose certificates it believes
#   --dial URI       calls instead of waiting to be called; it answers every call by itself
#   --control PORT   takes commands on this TCP port of the loopback: netstrings of JSON, such as {"command":"sndcode","params":"5"}
set -euo pipefail

dir='' sip='' rtp=26000-26019 say='' user=phone codec='' dtx=no echo=no srtp='' pem='' roots='' dial='' control=''
while (($#)); do
  case $1 in
    --dir) dir=$2 ;;
    --sip) sip=$2 ;;
    --rtp) rtp=$2 ;;
    --say) say=$(readlink -f "$2") ;;
    --user) user=$2 ;;
    --codec) codec=$2 ;;
    --dtx) dtx=yes; shift; continue ;;
    --echo) echo=yes; shift; continue ;;
    --srtp) srtp=$2 ;;
    --pem) pem=$(readlink -f "$2") ;;
    --roots) roots=$(readlink -f "$2") ;;
    --dial) dial=$2 ;;
    --control) control=$2 ;;
    *) echo "phone.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
if [ -z "$dir" ] || [ -z "$sip" ] || { [ -z "$say" ] && [ $echo = no ]; }; then
  echo "phone.sh: needs --dir, --sip and --say" >&2
  exit 2
fi
source="aufile,$say" player=aubridge,nil
[ $echo = no ] || source=aubridge,loop player=aubridge,loop

mkdir -p "$dir/heard"
dir=$(readlink -f "$dir")
{
  cat <<CONFIG
poll_method             epoll
sip_listen              $sip
sip_trans_def           udp
net_interface           ${sip%:*}
call_max_calls          4
call_local_timeout      120
audio_source            $source
audio_player            $player
audio_alert             aubridge,nil
ausrc_srate             8000
auplay_srate            8000
audio_channels          1
ausrc_channels          1
auplay_channels         1
rtp_ports               $rtp
rtcp_mux                no
jitter_buffer_delay     2-8
snd_path                $dir/heard
module_path             /usr/lib/baresip/modules
module                  g711.so
module                  g722.so
module                  opus.so
opus_dtx                $dtx
module                  srtp.so
module                  aufile.so
module                  aubridge.so
module                  sndfile.so
module_tmp              account.so
module_app              menu.so
CONFIG
  [ -z "$pem" ] || printf 'sip_certificate         %s\n' "$pem"
  [ -z "$roots" ] || printf 'sip_cafile              %s\n' "$roots"
  if [ -n "$control" ]; then
    printf 'module_app              ctrl_tcp.so\nctrl_tcp_listen         127.0.0.1:%s\n' "$control"
  fi
} > "$dir/config"
: > "$dir/contacts"
printf '<sip:%s@%s>;regint=0;answermode=auto%s\n' "$user" "$sip" "${codec:+;audio_codecs=$codec}${srtp:+;mediaenc=$srtp}" > "$dir/accounts"

command -v baresip >/dev/null || { echo "phone.sh: no baresip; apt-get install baresip-core" >&2; exit 1; }
exec baresip -f "$dir" ${dial:+-e "/dial $dial"} < /dev/null
