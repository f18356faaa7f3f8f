import Addressing
import Lab

/// NO_REUSEPORT belongs to one selection: it comes and goes with it, within a program and between programs.
enum ReuseportSelections {
    static let fixtures: [Fixture] = GroupVariant.ordinary.map(flagOfTheSelection)

    private static func flagOfTheSelection(_ group: GroupVariant) -> Fixture {
        let programs = ["first", "second", "third"]
        let alone: [SelectionFlag] = [.noReuseport]
        let drop = ScriptOperation.verdict(.drop)
        // Selected is always `picked`; the group's own program gives what it is asked about to `other`.
        func selections(_ scripts: [[ScriptOperation]], _ outcome: String) -> [Step] {
            zip(programs, scripts + Array(repeating: [], count: programs.count - scripts.count)).map {
                program, script in
                Step(.script(ScriptChange(program, [.onlyLocalPort(group.destination.port)] + script)))
            } + [group.probe(.reaches(outcome))]
        }
        let asked: [[Step]] = [
            selections([[.select("picked")]], "other"),
            selections([[.select("picked", flags: alone)]], "picked"),
            // Within one program.
            selections([[.select("picked", flags: alone), .select("picked", flags: [.replace])]], "other"),
            selections([[.select("picked"), .select("picked", flags: [.replace, .noReuseport])]], "picked"),
            // What is refused with EEXIST leaves the flag as it was, too.
            selections([[.select("picked"), .select("picked", flags: alone)]], "other"),
            selections([[.select("picked", flags: alone), .select("picked")]], "picked"),
            selections(
                [[.select("picked", flags: alone), .select(nil, flags: [.replace]), .select("picked")]], "other"),
            selections(
                [[.select("picked"), .select(nil, flags: [.replace, .noReuseport]), .select("picked")]], "other"),
            // Between programs.
            selections([[.select("picked", flags: alone)], []], "picked"),
            selections([[], [.select("picked", flags: alone)]], "picked"),
            selections([[.select("picked", flags: alone)], [.select("picked", flags: [.replace])]], "other"),
            selections([[.select("picked")], [.select("picked", flags: [.replace, .noReuseport])]], "picked"),
            selections([[.select("picked")], [.select("picked", flags: alone)]], "other"),
            // A program that ends without a selection, or drops, leaves the earlier one's flag as it was.
            selections([[.select("picked")], [.select(nil, flags: [.replace, .noReuseport])]], "other"),
            selections([[.select("picked", flags: alone)], [.select(nil, flags: [.replace])]], "picked"),
            selections([[.select("picked")], [.select("picked", flags: [.replace, .noReuseport]), drop]], "other"),
            selections([[.select("picked", flags: alone)], [.select("picked", flags: [.replace]), drop]], "picked"),
            selections([[.select("picked", flags: alone), drop], [.select("picked")]], "other"),
            selections([[.select("picked", flags: alone)], [], [.select("picked", flags: [.replace])]], "other"),
            selections([[.select("picked")], [drop], [.select("picked", flags: [.replace, .noReuseport])]], "picked"),
        ]
        return Fixture(
            name: "reuseport/flag-goes-with-the-selection", variant: group.id,
            summary:
                "NO_REUSEPORT holds for the selection it came with: not for the one that replaces it, and not if its program selects nothing or drops.",
            because: Reuseport.because + ["commit e9ddbb7707ff: the flag is kept and restored with the selection"],
            requires: [.skLookup] + group.features,
            steps: group.host + [group.member("picked"), group.member("other")]
                + [
                    GroupScenery.load("group", [.select("other")]), GroupScenery.register("other", with: "group"),
                    GroupScenery.attach("group", to: "picked", label: "attach-group"),
                ] + programs.map { Step(.load(ProgramLoad($0, script: []))) }
                + programs.map { Step(.register(Registration($0, label: "picked", socket: "picked"))) }
                + programs.map { program in
                    Step(.attach(Attachment(program, program: program, to: "host")), label: "attach-\(program)")
                } + asked.flatMap { $0 },
            sabotages: [
                Sabotage("second-not-attached", omit: ["attach-second"]),
                Sabotage("no-program-in-the-group", omit: ["attach-group"]),
            ])
    }
}
