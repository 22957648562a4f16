cd /tmp; date +%s.%N
/opt/execlayer/bin/execlayer run --policy /opt/execlayer/policies/zz/p.toml --quiet --events /tmp/ev -- true
date +%s.%N
