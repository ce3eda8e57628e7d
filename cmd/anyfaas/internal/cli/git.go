package cli

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5"
)

// gitFacts answers ${git.sha} and ${git.branch} for the repository that holds
// dir. The repository is opened with the first question.
func gitFacts(dir string) func(key string) (string, error) {
	return func(key string) (string, error) {
		repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
		if errors.Is(err, git.ErrRepositoryNotExists) {
			return "", errors.New("this folder is in no git repository")
		}
		if err != nil {
			return "", err
		}
		head, err := repo.Head()
		if err != nil {
			return "", fmt.Errorf("the git repository has no commit: %w", err)
		}
		switch {
		case key == "sha":
			return head.Hash().String(), nil
		case key == "branch" && head.Name().IsBranch():
			return head.Name().Short(), nil
		case key == "branch":
			return "", errors.New("no branch is checked out")
		}
		return "", fmt.Errorf("git has no %q", key)
	}
}
