package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
)

// secretsManager returns the manager of the stack: that of its state, else that
// of its configuration, else a new one.
func (e *Engine) secretsManager(ctx context.Context, s store, id stacks.ID, snap *deploy.Snapshot) (secrets.Manager, error) {
	if snap != nil && snap.SecretsManager != nil {
		return snap.SecretsManager, nil
	}
	c, err := readConfig(ctx, s, id)
	if err != nil {
		return nil, err
	}
	if c.EncryptionSalt != "" {
		return e.ring.manager(c.EncryptionSalt)
	}
	return e.ring.fresh()
}

// Secrets returns the secrets of the stack by name.
func (e *Engine) Secrets(ctx context.Context, id stacks.ID) (map[string]providers.Secret, error) {
	s, err := e.open(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(ctx, s, id)
	if err != nil || len(c.Config) == 0 {
		return map[string]providers.Secret{}, err
	}
	sm, err := e.ring.manager(c.EncryptionSalt)
	if err != nil {
		return nil, err
	}
	all := map[string]providers.Secret{}
	for key, value := range c.Config {
		if key.Namespace() != id.Service || !value.Secure() {
			continue
		}
		plain, err := value.Value(sm.Decrypter())
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", key.Name(), err)
		}
		all[key.Name()] = providers.NewSecret(plain)
	}
	return all, nil
}

// SetSecret encrypts a secret in the configuration of the stack. The next deploy
// uses it.
func (e *Engine) SetSecret(ctx context.Context, id stacks.ID, name string, value providers.Secret) error {
	if name == "" || strings.ContainsAny(name, ": \t\n") {
		return fmt.Errorf("%q is not a name for a secret", name)
	}
	return e.editConfig(ctx, id, func(c *workspace.ProjectStack) error {
		if c.EncryptionSalt == "" {
			sm, err := e.stackManager(ctx, id)
			if err != nil {
				return err
			}
			c.EncryptionSalt = sm.salt
		}
		sm, err := e.ring.manager(c.EncryptionSalt)
		if err != nil {
			return err
		}
		sealed, err := sm.Encrypter().EncryptValue(ctx, value.Reveal())
		if err != nil {
			return err
		}
		c.Config[config.MustMakeKey(id.Service, name)] = config.NewSecureValue(sealed)
		return nil
	})
}

// RemoveSecret forgets a secret. Removing one that is not set succeeds.
func (e *Engine) RemoveSecret(ctx context.Context, id stacks.ID, name string) error {
	return e.editConfig(ctx, id, func(c *workspace.ProjectStack) error {
		delete(c.Config, config.MustMakeKey(id.Service, name))
		return nil
	})
}

// stackManager is the manager of the recorded state, or a new one.
func (e *Engine) stackManager(ctx context.Context, id stacks.ID) (*manager, error) {
	cp, _, err := latest(ctx, e.store, id)
	if err != nil {
		return nil, err
	}
	var sm secrets.Manager
	if cp.deployment != nil && cp.deployment.SecretsProviders != nil {
		p := cp.deployment.SecretsProviders
		sm, err = e.ring.OfType(ctx, p.Type, p.State)
	} else {
		sm, err = e.ring.fresh()
	}
	if err != nil {
		return nil, err
	}
	return sm.(*manager), nil
}

func (e *Engine) editConfig(ctx context.Context, id stacks.ID, edit func(*workspace.ProjectStack) error) error {
	s, err := e.open(ctx, id)
	if err != nil {
		return err
	}
	release, err := s.Guard(ctx)
	if err != nil {
		return err
	}
	defer release()
	c, err := readConfig(ctx, s, id)
	if err != nil {
		return err
	}
	if err := edit(c); err != nil {
		return err
	}
	data, err := encoding.YAML.Marshal(c)
	if err != nil {
		return err
	}
	return s.Write(ctx, configKey(id), data)
}

// readConfig reads the configuration of the stack, a file of the same form as
// Pulumi's Pulumi.<stack>.yaml, which a project that moves to plain Pulumi can
// take over as it is.
func readConfig(ctx context.Context, s store, id stacks.ID) (*workspace.ProjectStack, error) {
	c := &workspace.ProjectStack{Config: config.Map{}}
	data, err := s.Read(ctx, configKey(id))
	if isGone(err) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if err := encoding.YAML.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("configuration of the stack: %w", err)
	}
	if c.Config == nil {
		c.Config = config.Map{}
	}
	return c, nil
}
