package gitsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nes-run/nes"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// ChildMain is the whole life of the process that fetches: it reads an order from in,
// fetches into its working directory, writes a report to out, and returns its exit code.
// It changes limits of the process that it runs in; call it from main alone.
func ChildMain(in io.Reader, out io.Writer) int {
	var o order
	dec := json.NewDecoder(in)
	if err := dec.Decode(&o); err != nil {
		fmt.Fprintln(os.Stderr, "read the order:", err)
		return 2
	}
	limitSelf(o.Limits)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		// Whoever ordered the fetch is gone and will not clean up.
		if dir, err := os.Getwd(); err == nil && strings.HasPrefix(filepath.Base(dir), dirPrefix) {
			_ = os.RemoveAll(dir)
		}
		os.Exit(3)
	}()
	rep := carryOut(o)
	if err := json.NewEncoder(out).Encode(rep); err != nil {
		fmt.Fprintln(os.Stderr, "write the report:", err)
		return 2
	}
	return 0
}

// limitSelf has the kernel stop what the limits of the fetch itself might overlook.
func limitSelf(l Limits) {
	disk := uint64(2*l.Pack + l.TreeSize + 64<<20)
	seconds := uint64(l.FetchTime.Seconds())*2 + 10
	for resource, most := range map[int]uint64{syscall.RLIMIT_CORE: 0, syscall.RLIMIT_FSIZE: disk, syscall.RLIMIT_CPU: seconds, syscall.RLIMIT_NOFILE: 256} {
		// A lower limit that is set already is as good.
		_ = syscall.Setrlimit(resource, &syscall.Rlimit{Cur: most, Max: most})
	}
}

func carryOut(o order) (rep report) {
	defer func() {
		// What a hostile server sends may trip a decoder; the process is there to be lost, but a report is better.
		if p := recover(); p != nil {
			rep = report{Reason: nes.ReasonSourceUnavailable, Message: o.Repository + " sent something that could not be read", Cause: fmt.Sprint(p)}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), o.Limits.FetchTime)
	defer cancel()
	rep, err := fetch(ctx, o)
	if err == nil {
		return rep
	}
	failure, _ := errors.AsType[*nes.Error](o.Login.explain(o.Repository, err))
	rep = report{Reason: failure.Reason, Message: failure.Message}
	if failure.Err != nil {
		rep.Cause = failure.Err.Error()
	}
	return rep
}

func fetch(ctx context.Context, o order) (report, error) {
	if strings.HasPrefix(o.URL, "file://") {
		repo, err := openLocal(o.URL, o.FileRoots)
		if err != nil {
			return report{}, err
		}
		return bundleLocal(repo, o)
	}
	store, err := newStore(storeDir)
	if err != nil {
		return report{}, err
	}
	defer store.Close()
	var refused error
	for _, t := range o.Tries {
		if refused = fetchOnce(ctx, o, t, store); refused != nil {
			if _, said := errors.AsType[*pktline.ErrorLine](refused); said {
				continue // the server does not give this; the next request asks for something else
			}
			return report{}, tooFarBack(o, t, refused)
		}
		commit, err := findCommit(store, o.Commit)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return report{}, err
		}
		return bundleCommit(store, commit, o.Limits)
	}
	if refused != nil {
		return report{}, refused
	}
	return report{}, noCommit(o)
}

// tooFarBack says, of a search through history that came to a limit, how to do without the search.
func tooFarBack(o order, t try, err error) error {
	if t.Depth == 1 || !errors.Is(err, errLimit) {
		return err
	}
	return fail(nes.ReasonSourceTooLarge, err, "commit %s is not the newest of any branch or tag of %s, whose history is larger than may be searched: "+
		"make a branch or tag at that commit, or have its server allow fetches by commit (uploadpack.allowReachableSHA1InWant)", quote(o.Commit), o.Repository)
}

func noCommit(o order) error {
	return fail(nes.ReasonSourceNotFound, nil, "there is no commit %s in the history of the branches and tags of %s", quote(o.Commit), o.Repository)
}

func fetchOnce(ctx context.Context, o order, t try, store *filesystem.Storage) error {
	r, err := openRemote(o.URL, logins{http: o.Login, ssh: o.SSH}, o.Reach, o.Limits)
	if err != nil {
		return err
	}
	defer r.close()
	caps := o.Caps
	if _, stateless := r.(*httpRemote); !stateless {
		// A connection by SSH always begins with the list of refs.
		adv, err := r.advertise(ctx, "")
		if err != nil {
			return err
		}
		caps = adv.caps
	}
	return receive(ctx, r, t, caps, store, o.Limits)
}

// findCommit finds a commit by its id, whole or abbreviated.
func findCommit(objects storer.EncodedObjectStorer, id string) (*object.Commit, error) {
	if fullCommit.MatchString(id) {
		return object.GetCommit(objects, plumbing.NewHash(id))
	}
	all, err := objects.IterEncodedObjects(plumbing.CommitObject)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	var found plumbing.Hash
	err = all.ForEach(func(o plumbing.EncodedObject) error {
		if !strings.HasPrefix(o.Hash().String(), id) || o.Hash() == found {
			return nil
		}
		if !found.IsZero() {
			return fail(nes.ReasonSourceNotFound, nil, "the commit id %s is ambiguous: write more digits of it", quote(id))
		}
		found = o.Hash()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return object.GetCommit(objects, found)
}

func bundleCommit(objects storer.EncodedObjectStorer, commit *object.Commit, l Limits) (report, error) {
	p, err := writeBundle(objects, commit, bundleFile, l)
	if err != nil {
		return report{}, err
	}
	return report{Commit: commit.Hash.String(), Notes: p.notes}, nil
}

func bundleLocal(repo *git.Repository, o order) (report, error) {
	commit, err := findCommit(repo.Storer, o.Commit)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return report{}, noCommit(o)
	}
	if err != nil {
		return report{}, err
	}
	return bundleCommit(repo.Storer, commit, o.Limits)
}
