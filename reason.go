package nes

// Reason names why a run ended. The words are stable; new ones may be added, and
// a client must treat an unknown one as it treats the run's status.
type Reason string

// The reasons. The table below says what each means for status, retries and exit code.
const (
	ReasonCompleted Reason = "" // succeeded in the ordinary way
	ReasonSkipped   Reason = "Skipped"

	ReasonCellError        Reason = "CellError"
	ReasonKernelDied       Reason = "KernelDied"
	ReasonOutOfMemory      Reason = "OutOfMemory"
	ReasonCellTimeout      Reason = "CellTimeout"
	ReasonRunTimeout       Reason = "RunTimeout"
	ReasonSilenceTimeout   Reason = "SilenceTimeout"
	ReasonDeadlineExceeded Reason = "DeadlineExceeded"
	ReasonCancelled        Reason = "Cancelled"
	ReasonNotReady         Reason = "NotReady"
	ReasonParameterError   Reason = "ParameterError"
	ReasonSourceNotFound   Reason = "SourceNotFound"
	ReasonSourceForbidden  Reason = "SourceForbidden"
	ReasonSourceTooLarge   Reason = "SourceTooLarge"
	ReasonNotANotebook     Reason = "NotANotebook"
	ReasonKernelNotFound   Reason = "KernelNotFound"
	ReasonEngineMissing    Reason = "EngineMissing"
	ReasonImageNotFound    Reason = "ImageNotFound"
	ReasonResourcesRefused Reason = "ResourcesRefused"
	ReasonOutputTooLarge   Reason = "OutputTooLarge"
	ReasonDiskFull         Reason = "DiskFull"

	ReasonSourceUnavailable  Reason = "SourceUnavailable"
	ReasonImagePullFailed    Reason = "ImagePullFailed"
	ReasonUnschedulable      Reason = "Unschedulable"
	ReasonAdmissionRejected  Reason = "AdmissionRejected"
	ReasonEvicted            Reason = "Evicted"
	ReasonNodeLost           Reason = "NodeLost"
	ReasonPodDeleted         Reason = "PodDeleted"
	ReasonAgentLost          Reason = "AgentLost"
	ReasonStorageUnavailable Reason = "StorageUnavailable"
	ReasonInternal           Reason = "Internal"
)

// Task says what a DAG task should do when a run ends for a reason.
type Task string

// What a task does.
const (
	TaskSucceed Task = "succeed" // the task is done
	TaskSkip    Task = "skip"    // mark the task skipped
	TaskRetry   Task = "retry"   // fail; the DAG's own retries may help
	TaskFail    Task = "fail"    // fail for good; running the same again cannot help
)

// ReasonInfo is a row of the table of reasons.
type ReasonInfo struct {
	Reason Reason `json:"reason"`
	// Status that a run ended for this reason has.
	Status Status `json:"status"`
	// Retryable says that a retry policy may name this reason.
	Retryable bool `json:"retryable"`
	// ExitCode of the command line: 0 succeeded, 1 failed, 3 error, 4 cancelled.
	ExitCode int `json:"exit_code"`
	// Task says what a DAG task does.
	Task Task `json:"task"`
	// Meaning is one sentence for people: what happened.
	Meaning string `json:"meaning"`
	// Cure is one sentence for people: what to do about it. Empty where there is nothing to do.
	Cure string `json:"cure,omitempty"`
}

var reasons = []ReasonInfo{
	{ReasonCompleted, StatusSucceeded, false, 0, TaskSucceed, "Every cell ran.", ""},
	{ReasonSkipped, StatusSucceeded, false, 0, TaskSkip, "The notebook said that there was nothing to do.", ""},

	{ReasonCellError, StatusFailed, true, 1, TaskRetry, "A cell raised an error.", "Read the failed cell's traceback, mend the notebook, push, and run it again."},
	{ReasonKernelDied, StatusFailed, true, 1, TaskRetry, "The kernel process ended in the middle of a cell.", "Look at the last output; a crash in native code and a kill from outside look alike."},
	{ReasonOutOfMemory, StatusFailed, true, 1, TaskRetry, "The notebook used more memory than it was given.", "Ask for more memory, or read the data in parts."},
	{ReasonCellTimeout, StatusFailed, true, 1, TaskRetry, "A cell ran longer than cell_timeout.", "Raise cell_timeout, or make the cell faster."},
	{ReasonRunTimeout, StatusFailed, true, 1, TaskRetry, "The notebook ran longer than timeout.", "Raise timeout, or make the notebook faster."},
	{ReasonSilenceTimeout, StatusFailed, true, 1, TaskRetry, "A cell printed nothing for silence_timeout.", "Raise silence_timeout, or print progress."},
	{ReasonDeadlineExceeded, StatusFailed, false, 1, TaskFail, "The run was not done by its deadline.", "Submit earlier or with a later deadline."},
	{ReasonCancelled, StatusFailed, false, 4, TaskFail, "Somebody cancelled the run.", ""},
	{ReasonNotReady, StatusFailed, false, 1, TaskRetry, "What the notebook waits for was not there in time.", "Run it again when its input is there."},
	{ReasonParameterError, StatusFailed, false, 1, TaskFail, "The parameters do not fit the notebook.", "Compare them with the notebook's parameters cell."},
	{ReasonSourceNotFound, StatusFailed, false, 1, TaskFail, "The repository, ref or notebook does not exist.", "Check the address; a private repository needs a credential."},
	{ReasonSourceForbidden, StatusFailed, false, 1, TaskFail, "The source may not be read.", "Give NES a credential for it, or have its address allowed."},
	{ReasonSourceTooLarge, StatusFailed, false, 1, TaskFail, "The repository is larger than a fetch may be.", "Move large data out of the repository, or have the limit raised."},
	{ReasonNotANotebook, StatusFailed, false, 1, TaskFail, "The file is not a Jupyter notebook.", "Point the address at an .ipynb file."},
	{ReasonKernelNotFound, StatusFailed, false, 1, TaskFail, "The notebook's kernel is not installed in the runtime.", "Choose a runtime that has it, install it, or name another kernel."},
	{ReasonEngineMissing, StatusFailed, false, 1, TaskFail, "The runtime has no papermill that works.", "Install papermill and a kernel in the runtime."},
	{ReasonImageNotFound, StatusFailed, false, 1, TaskFail, "The runtime's image does not exist.", "Check the image's name and tag."},
	{ReasonResourcesRefused, StatusFailed, false, 1, TaskFail, "The resources asked for are more than the profile allows.", "Ask for less, or for another profile."},
	{ReasonOutputTooLarge, StatusFailed, false, 1, TaskFail, "The notebook wrote more output than may be stored.", "Write large data to files or storage instead of printing it."},
	{ReasonDiskFull, StatusFailed, true, 1, TaskRetry, "The run's disk is full.", "Ask for more disk, or write less."},

	{ReasonSourceUnavailable, StatusError, true, 3, TaskRetry, "The Git server could not be reached.", "Try again; if it goes on, ask its operator."},
	{ReasonImagePullFailed, StatusError, true, 3, TaskRetry, "The runtime's image could not be pulled.", "Try again; if it goes on, check the registry and its credential."},
	{ReasonUnschedulable, StatusError, true, 3, TaskRetry, "The cluster had no place for the run in time.", "Ask for less, or try again when the cluster is less busy."},
	{ReasonAdmissionRejected, StatusError, true, 3, TaskRetry, "The cluster refused the run.", "Show the message to the cluster's operator."},
	{ReasonEvicted, StatusError, true, 3, TaskRetry, "The cluster took the run's place away.", "Run it again."},
	{ReasonNodeLost, StatusError, true, 3, TaskRetry, "The machine that ran the notebook was lost.", "Run it again."},
	{ReasonPodDeleted, StatusError, true, 3, TaskRetry, "Somebody deleted the run's pod.", "Run it again."},
	{ReasonAgentLost, StatusError, true, 3, TaskRetry, "Nothing was heard of the run any more.", "Run it again; what it had written is kept."},
	{ReasonStorageUnavailable, StatusError, true, 3, TaskRetry, "The result could not be stored.", "Run it again when the storage is back."},
	{ReasonInternal, StatusError, true, 3, TaskRetry, "A fault in NES.", "Report it with the run's id."},
}

// Reasons returns the table of reasons, one row each.
func Reasons() []ReasonInfo { return append([]ReasonInfo(nil), reasons...) }

// Known reports whether r is in the table.
func (r Reason) Known() bool {
	_, ok := r.row()
	return ok
}

// Info returns the row of r. An unknown reason is read like [ReasonInternal].
func (r Reason) Info() ReasonInfo {
	if row, ok := r.row(); ok {
		return row
	}
	row, _ := ReasonInternal.row()
	row.Reason = r
	return row
}

// Status returns the status of a run that ended for r.
func (r Reason) Status() Status { return r.Info().Status }

func (r Reason) row() (ReasonInfo, bool) {
	for _, row := range reasons {
		if row.Reason == r {
			return row, true
		}
	}
	return ReasonInfo{}, false
}
