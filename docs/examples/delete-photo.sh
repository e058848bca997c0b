#!/bin/bash
# Deletes a profile photo through bigin-photo-proxy with curl (7.84 or later), and prints what became of it.
#
#   delete-photo.sh http://127.0.0.1:8080 Contacts 2034020000000489033 erasure-4711
set -u
url=$1/bigin/v2/$2/$3/photo request_id=$4
tries=4 patience=60
perhaps_deleted=

for ((try = 1; ; try++)); do
  # Longer than the proxy takes, so that its answer is heard.
  answer=$(curl -sS -X DELETE --max-time 20 -H "X-Request-Id: $request_id" -H 'Request-Timeout: 15' \
    -w '\n%{http_code}|%header{delete-outcome}|%header{retry-after}' "$url")
  IFS='|' read -r status outcome retry_after <<<"${answer##*$'\n'}"
  # No answer, or one of somebody else's: nobody knows.
  outcome=${outcome:-unknown}
  [[ $outcome != unknown ]] || perhaps_deleted=yes

  if [[ $outcome == deleted ]]; then break; fi
  if [[ $outcome != unknown && $status != 429 && $status != 5* ]]; then break; fi
  [[ $retry_after =~ ^[0-9]+$ ]] || retry_after=0
  if ((try == tries || retry_after > patience)); then break; fi
  jitter=$((RANDOM % (1000 << (try - 1))))
  sleep "$((retry_after + jitter / 1000)).$(printf %03d $((jitter % 1000)))"
done

# What an earlier try may have done, only a success settles.
if [[ $perhaps_deleted && $outcome != deleted ]]; then outcome=unknown; fi
echo "$outcome ${answer%$'\n'*}"
[[ $outcome == deleted ]]
