import { KeyRound, Pencil, Plus, Trash2 } from 'lucide'
import { useState } from 'preact/hooks'
import type { AgentProfile } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { ConfirmButton } from '../ui/confirm.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { PagesEnd, usePages } from '../ui/pages.tsx'
import { AgentForm } from './agent.form.tsx'
import { AgentKeys } from './agent-keys.tsx'
import { AvatarField } from './avatar-field.tsx'
import { Card } from './card.tsx'

/** What is open over the list: a new agent, or one that is edited or whose keys are seen to. */
type Opened = { of: 'new' } | { of: 'agent' | 'keys'; id: string }

/** One's own agents: those that the server runs, and those that connect with a key. */
export function AgentsSection() {
  const pages = usePages<AgentProfile>('/v1/agents')
  const [opened, setOpened] = useState<Opened>()
  const close = () => setOpened(undefined)
  const agents = pages.items ?? []
  const shown = opened && opened.of !== 'new' ? agents.find(({ id }) => id === opened.id) : undefined

  const put = (agent: AgentProfile): void =>
    pages.set(
      agents.some(({ id }) => id === agent.id)
        ? agents.map((one) => (one.id === agent.id ? agent : one))
        : [agent, ...agents],
    )

  async function remove({ id }: AgentProfile): Promise<void> {
    await client.rest.request('DELETE', `/v1/agents/${id}`)
    pages.set(agents.filter((one) => one.id !== id))
  }

  function onSaved(agent: AgentProfile): void {
    put(agent)
    // a new external agent is of no use before it has a key
    setOpened(opened?.of === 'new' && agent.kind === 'external' ? { of: 'keys', id: agent.id } : undefined)
  }

  return (
    <Card title={t('account:agents')} hint={t('account:agentsHint')}>
      <Button kind="primary" icon={Plus} onPress={() => setOpened({ of: 'new' })}>
        {t('account:newAgent')}
      </Button>
      <ul class="settings-rows">
        {agents.map((agent) => (
          <li key={agent.id}>
            <Avatar name={agent.displayName} url={agent.avatarUrl} kind="agent" size={40} />
            <span class="settings-main">
              <strong dir="auto">{agent.displayName}</strong>
              <span class="quiet">
                <bdi>@{agent.username}</bdi> · {t(`account:kind_${agent.kind}`)} ·{' '}
                {agent.isPublic ? t('account:public') : t('account:private')}
              </span>
              {agent.description && (
                <span class="quiet" dir="auto">
                  {agent.description}
                </span>
              )}
            </span>
            <span class="settings-tools">
              {agent.kind === 'external' && (
                <IconButton
                  icon={KeyRound}
                  label={t('account:keysOf', { name: agent.displayName })}
                  onPress={() => setOpened({ of: 'keys', id: agent.id })}
                />
              )}
              <IconButton
                icon={Pencil}
                label={t('account:editAgent', { name: agent.displayName })}
                onPress={() => setOpened({ of: 'agent', id: agent.id })}
              />
              <ConfirmButton
                isIcon
                icon={Trash2}
                label={t('account:deleteAgent', { name: agent.displayName })}
                question={t('account:deleteAgentQuestion')}
                onConfirm={() => remove(agent)}
              />
            </span>
          </li>
        ))}
      </ul>
      <PagesEnd of={pages} empty={t('account:noAgents')} />
      {opened?.of === 'new' && (
        <Dialog title={t('account:newAgent')} onClose={close}>
          <AgentForm onSaved={onSaved} onClose={close} />
        </Dialog>
      )}
      {shown && opened?.of === 'agent' && (
        <Dialog title={shown.displayName} onClose={close}>
          <AvatarField
            kind="agent"
            name={shown.displayName}
            url={shown.avatarUrl}
            onPick={async (avatarId) => put(await client.rest.request('PATCH', `/v1/agents/${shown.id}`, { avatarId }))}
          />
          <AgentForm agent={shown} onSaved={onSaved} onClose={close} />
        </Dialog>
      )}
      {shown && opened?.of === 'keys' && (
        <Dialog title={t('account:keysOf', { name: shown.displayName })} onClose={close}>
          <AgentKeys agentId={shown.id} />
        </Dialog>
      )}
    </Card>
  )
}
