cd /tmp; touch /tmp/f
/opt/execlayer/bin/execlayer run --policy /opt/execlayer/policies/zz/p.toml --quiet --events /tmp/ev -- sh -c 'touch /tmp/f; touch /root/g; setfattr -n user.a -v b /tmp/f; id' 2>&1
grep -v canary /tmp/ev | head -c 1500
mount | head -5; cat /proc/self/mountinfo | head -20
