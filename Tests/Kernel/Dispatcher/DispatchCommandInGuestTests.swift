import Foundation
import Lab
import Testing
import VirtualMachine

extension KernelTests {
    /// The example of docs/dispatch.md, with the same command, on the kernels that the fixtures are performed on.
    @Suite("lab dispatch in a guest", .enabled(TestKernels.hint) { await TestKernels.canBoot })
    struct DispatchCommandInGuestTests {
        @Test(
            "two DNS servers share port 53, and what leads where changes while they run", arguments: TestKernels.series)
        func example(series: String) async throws {
            let kernel = try await TestKernels.kernel(series)
            var runner = try await TestKernels.runner(for: kernel)
            var additions = Archive()
            try await TestGuest.withDirectory { directory in
                // Its symbols are most of it.
                let command = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
                    .appending(path: "lab").path
                let stripped = "\(directory)/lab"
                try await TestGuest.perform("strip", "-o", stripped, command)
                try await additions.add(program: stripped, as: "bin/lab")
            }
            additions.add(file: "root/example.sh", content: Array(Self.script.utf8))
            runner.additions = additions
            // The command's libraries, which are large, are there twice while the kernel unpacks them.
            runner.options.memoryMegabytes = 1024
            let trial = Trial(
                Fixture(
                    name: "dispatch/example", summary: "the command works in a guest", because: [],
                    steps: [
                        Step(.namespace("own")),
                        Step(
                            .exec(Command(in: "own", "sh /root/example.sh")),
                            expect: [Expectation(.exits(0, output: "all as documented"))]),
                    ]))
            let result = try await #require(runner.run([trial], on: kernel) { _ in }.first)
            #expect(
                result.verdict == .conforms,
                "\(result.release): \(result.deviation?.observed ?? "")\n\(result.deviation?.log ?? [])")
        }

        /// Ends with 1 at the first thing that is not as it should be, and says what.
        private static let script = #"""
            set -u
            export LANG=C
            cd /tmp

            # says TEXT COMMAND…: it exits with 0, and these are its output and its errors.
            says() {
                wanted=$1; shift
                exits 0 "$wanted" "$@"
            }

            # exits STATUS TEXT COMMAND…
            exits() {
                status=$1; wanted=$2; shift 2
                got=$("$@" 2>&1); ended=$?
                if [ $ended != $status ] || [ "$got" != "$wanted" ]; then
                    printf '%s\nexits %s, not %s, and says\n%s\nnot\n%s\n' "$*" $ended $status "$got" "$wanted"
                    exit 1
                fi
            }

            # answers PREFIX ADDRESS NAME [PORT]: the name server at the address answers from the prefix.
            answers() {
                got=$(ip netns exec edge nslookup -type=a -port=${4-53} $3 $2 2>&1)
                case $got in
                *"Name:"*"Address: $1"*) ;;
                *) printf '%s asked for %s says\n%s\n' $2 $3 "$got"; exit 1 ;;
                esac
            }

            ip netns add edge
            ip -n edge link set lo up
            ip -n edge route add local 192.0.2.0/24 dev lo
            ip -n edge route add local 203.0.113.0/24 dev lo

            for server in "authoritative 127.0.0.1 example.com 192.0.2" "other 127.0.0.2 example.org 203.0.113"; do
                set -- $server
                cat > $1.yaml <<END
            listeners: ["$2:53"]
            workers: 1
            zones: [{name: $3, nameservers: [ns.example.net]}]
            pools: [{name: all, prefixes: $4.0/24}]
            policies: [{name: all, pool: all, ttl: 7}]
            END
                ip netns exec edge lab dns serve --config $1.yaml 2> $1.log &
                echo $! > $1.pid
            done
            for server in authoritative other; do
                until grep -q listening $server.log; do
                    kill -0 $(cat $server.pid) || { cat $server.log; exit 1; }
                    sleep 0.1
                done
            done

            directory=/sys/fs/bpf/binding-lab/$(stat -L -c %i /run/netns/edge)
            exits 2 "lab: this network namespace has no dispatcher ($directory): load one" \
                lab dispatch list --netns edge
            says "loaded: $directory" lab dispatch load --object /lib/bpf/dispatch.bpf.o --netns edge
            for server in authoritative other; do
                lab dispatch register $server --pid $(cat $server.pid) --netns edge > out 2>&1 || { cat out; exit 1; }
                grep -q "^registered udp ipv4 socket [0-9a-f]* under '$server'$" out || { cat out; exit 1; }
            done

            cat > bindings.yaml <<END
            bindings:
              - {protocol: [tcp, udp], prefix: 192.0.2.0/24, ports: 53, label: authoritative}
              - {protocol: [tcp, udp], prefix: 203.0.113.1, ports: 0-65535, label: other}
            END
            difference='+ tcp 192.0.2.0/24 53 → authoritative
            + udp 192.0.2.0/24 53 → authoritative
            + tcp 203.0.113.1/32 0-65535 → other
            + udp 203.0.113.1/32 0-65535 → other'
            says "$difference" lab dispatch replace --file bindings.yaml --dry-run --netns edge
            says "$difference" lab dispatch replace --file bindings.yaml --netns edge
            answers 192.0.2. 192.0.2.7 www.example.com
            answers 192.0.2. 192.0.2.200 www.example.com
            answers 203.0.113. 203.0.113.1 www.example.org

            says '+ udp 192.0.2.128/25 53 → other' lab dispatch bind udp 192.0.2.128/25 53 other --netns edge
            answers 203.0.113. 192.0.2.200 www.example.org
            answers 192.0.2. 192.0.2.7 www.example.com
            exits 2 "lab: udp 192.0.2.128/25 50-53 ties with udp 192.0.2.128/25 53-56, bound to 'other': they overlap \
            and are equally wide; unbind that one, or make one of them narrower" sh -c '
                lab dispatch bind udp 192.0.2.128/25 53-56 other --netns edge > out &&
                    lab dispatch bind udp 192.0.2.128/25 50-53 authoritative --netns edge'
            says "- udp 192.0.2.128/25 53-56 → other" lab dispatch unbind udp 192.0.2.128/25 53-56 --netns edge
            says 'upgraded to the same version' \
                lab dispatch upgrade --object /lib/bpf/dispatch.bpf.o --netns edge
            answers 203.0.113. 192.0.2.200 www.example.org

            kill $(cat other.pid)
            wait $(cat other.pid)
            says '2' sh -c 'lab dispatch list --netns edge | grep -c "^other .* closed "'
            exits 1 '' sh -c "ip netns exec edge nslookup -type=a www.example.org 192.0.2.200 2>/dev/null | grep Name"
            lab dispatch metrics --netns edge > metrics || exit 1
            grep -q '^dispatch_binding_misses_total{protocol="udp",prefix="192.0.2.128/25",ports="53",label="other"} [1-9]' \
                metrics || { cat metrics; exit 1; }
            says 'loaded    yes' sh -c 'lab dispatch status --netns edge | grep loaded'
            says "unloaded: $directory" lab dispatch unload --netns edge
            kill $(cat authoritative.pid)
            wait $(cat authoritative.pid)
            ip netns del edge
            echo all as documented
            """#
    }
}
