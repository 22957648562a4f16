# The demo's session: what stands outside of the agent. Arguments: folder of the programs, folder of
# the policies, folder of the demo. Runs as root.
set -eu
bin=$1 policies=$2 demo=$3
mkdir -p /workspace /root/.ssh
# A key of the demo's own: nobody's real key is read or shown.
echo "a private key" > /root/.ssh/execlayer-demo-key
cp "$demo/agent.py" /workspace/agent.py
ln -sf /root/.ssh/execlayer-demo-key /workspace/link-to-key
cd /
python3 -m http.server --bind 127.0.0.1 8080 --directory /usr/share/doc > /dev/null 2>&1 &
server=$!
sleep 2
echo "Without ExecLayer, this process reads the key: $(cat /workspace/link-to-key)"
echo "The same machine, an unmodified python3 under the policy \`demo\`:"
"$bin/execlayer" run --policy "$demo/policy.toml" --policies-dir "$policies" --quiet \
    --audit /run/execlayer-demo-audit -- python3 /workspace/agent.py || echo "agent ended with $?"
kill "$server"
echo "Afterwards, the key can be read again: $(cat /workspace/link-to-key)"
echo "What is written down about it was not changed since:"
"$bin/execlayer" audit verify /run/execlayer-demo-audit 2> /dev/null
echo "--- events"
"$bin/execlayer" audit show --json /run/execlayer-demo-audit
rm -rf /run/execlayer-demo-audit
rm -f /root/.ssh/execlayer-demo-key
