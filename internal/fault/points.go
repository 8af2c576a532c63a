package fault

// Name of a point. A name ending in "ing" stands before its effect, one ending in "ed" after it.
type Name string

// The points. What stands behind the colon of a ledger's point is the kind of the event that is written with it.
const (
	LedgerWriting Name = "ledger.writing" // in the transaction, before its commit
	LedgerWritten Name = "ledger.written" // committed, and nobody told

	BundleStoring Name = "bundle.storing"
	BundleStored  Name = "bundle.stored"

	Launching      Name = "launch.launching" // the intent is in the ledger, nothing is with the backend
	LaunchPrepared Name = "launch.prepared"  // the attempt's directory is complete, no process runs
	Launched       Name = "launch.launched"  // the agent's process was started

	JournalStoring Name = "journal.storing"
	JournalStored  Name = "journal.stored" // not yet acknowledged
	FileStoring    Name = "file.storing"   // input, blob, side file or log of an attempt
	FileStored     Name = "file.stored"
	ExitReporting  Name = "exit.reporting" // the agent's report has arrived

	RecordStoring  Name = "record.storing"
	NotebookStored Name = "record.notebook"
	RecordStored   Name = "record.stored" // notebook, index and log are there, the ledger does not know

	Removing   Name = "publish.removing" // of the attempt's directory, after the end
	Removed    Name = "publish.removed"  // renamed, and not taken away yet
	Publishing Name = "publish.publishing"
	Published  Name = "publish.published" // the verdict is stored, the ledger does not know

	AgentBegun    Name = "agent.begun" // it has its lock and did nothing
	AgentFetching Name = "agent.fetching"
	AgentFetched  Name = "agent.fetched" // tree and order are in place
	AgentStarted  Name = "agent.started" // exec runs
	AgentPosting  Name = "agent.posting" // a piece of the journal
	AgentPosted   Name = "agent.posted"
	AgentEnding   Name = "agent.ending" // all is sent but the end
	AgentEnded    Name = "agent.ended"  // the end is acknowledged, the agent's own mark is not set

	ExecBegun   Name = "exec.begun" // it has its lock and did nothing
	ExecStarted Name = "exec.started"
	ExecMarking Name = "exec.marking" // the notebook has ended, and nobody knows
	ExecMarked  Name = "exec.marked"
)

// ledgerKinds are the events of a run that succeeds, one transaction each.
var ledgerKinds = []string{"submitted", "fetching", "fetched", "launched", "starting", "started", "saving", "ended", "published"}

// Points lists every point that a run which succeeds comes by, each as it is asked for.
func Points() []string {
	var all []string
	for _, kind := range ledgerKinds {
		all = append(all, string(LedgerWriting)+":"+kind, string(LedgerWritten)+":"+kind)
	}
	for _, n := range []Name{
		BundleStoring, BundleStored, Launching, LaunchPrepared, Launched, JournalStoring, JournalStored, FileStoring, FileStored, ExitReporting,
		RecordStoring, NotebookStored, RecordStored, Removing, Removed, Publishing, Published, AgentBegun, AgentFetching, AgentFetched, AgentStarted,
		AgentPosting, AgentPosted, AgentEnding, AgentEnded, ExecBegun, ExecStarted, ExecMarking, ExecMarked,
	} {
		all = append(all, string(n))
	}
	return all
}
