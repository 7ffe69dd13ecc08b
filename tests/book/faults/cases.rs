//! Which commands are tried, and what belongs to them?
//!
//! Another command is another row.

/// A command, and what belongs to it. Each line is a command line of the engine's.
pub struct Case {
    pub name: &'static str,
    /// Once, before all points: nothing of it may change.
    pub given: &'static [&'static str],
    /// Before each point.
    pub before: &'static [&'static str],
    pub command: &'static str,
    /// What the command says if it does well.
    pub says: &'static str,
    /// What must then be possible.
    pub then: &'static str,
    /// Takes away what may be there after it, done or not: then it must be as before.
    pub after: &'static [&'static str],
}

pub const CASES: &[Case] = &[
    Case {
        name: "run --rm",
        command: "run --rm --network none -e MARK tiny echo well",
        says: "well\n",
        ..NOTHING
    },
    Case {
        name: "run --rm, bridge",
        command: "run --rm -e MARK tiny echo well",
        says: "well\n",
        ..NOTHING
    },
    Case {
        name: "rm",
        before: &["run --network none --name box -v /data tiny true"],
        command: "rm -v box",
        says: "box\n",
        then: "run --rm --network none --name box tiny true",
        after: &["rm -v box"],
        ..NOTHING
    },
    Case {
        name: "run -d",
        command: "run -d --network none --name box tiny true",
        then: "logs box",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "start",
        before: &["create --network none --name box tiny true"],
        command: "start box",
        says: "box\n",
        then: "logs box",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "stop",
        before: &["run -d --network none --name box -e MARK tiny tail -f /dev/null"],
        command: "stop -t 0 box",
        says: "box\n",
        then: "rm box",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "rm -f",
        before: &["run -d --network none --name box -e MARK tiny tail -f /dev/null"],
        command: "rm -f box",
        says: "box\n",
        then: "run --rm --network none --name box tiny true",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "exec",
        given: &["& run --network none --name box -e MARK tiny tail -f /dev/null"],
        command: "exec box echo well",
        says: "well\n",
        then: "exec box true",
        ..NOTHING
    },
    Case {
        name: "pull",
        given: &[
            "run --network none --name box tiny touch /new",
            "commit box REGISTRY/new",
            "rm box",
            "push REGISTRY/new",
            "rmi REGISTRY/new",
        ],
        command: "pull -q REGISTRY/new",
        then: "run --rm --network none REGISTRY/new cat /new",
        // What has arrived may stay, for the next pull.
        after: &["pull -q REGISTRY/new", "rmi REGISTRY/new"],
        ..NOTHING
    },
    Case {
        name: "commit",
        given: &["run --network none --name box tiny touch /new"],
        command: "commit box new",
        then: "run --rm --network none new cat /new",
        after: &["rmi new"],
        ..NOTHING
    },
];

pub const NOTHING: Case = Case {
    name: "",
    given: &[],
    before: &[],
    command: "",
    says: "",
    then: "run --rm --network none tiny true",
    after: &[],
};
