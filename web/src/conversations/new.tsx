import './new.css'
import { Bot, MessageCircle, Users, X } from 'lucide'
import { useState } from 'preact/hooks'
import { newClientId, type User } from '../../../src/client/index.ts'
import { NewAssistant } from '../ai/new-assistant.tsx'
import { t } from '../i18n.ts'
import { navigate } from '../router.ts'
import { attempt } from '../state/toasts.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Icon } from '../ui/icon.tsx'
import { beginGroup, writeTo } from './actions.ts'
import { PeopleSearch } from './people-search.tsx'

const kinds = [
  { id: 'direct', icon: MessageCircle },
  { id: 'group', icon: Users },
  { id: 'assistant', icon: Bot },
] as const

type Kind = (typeof kinds)[number]['id']

/** Begins a conversation: with one person or agent, a group, or an AI chat. */
export function NewConversation({ onClose }: { onClose(): void }) {
  const [kind, setKind] = useState<Kind>('direct')
  const open = (id: string) => {
    onClose()
    navigate(`/c/${id}`)
  }
  return (
    <Dialog title={t('conversations:new')} onClose={onClose}>
      <fieldset class="conv-kinds">
        <legend class="unseen">{t('conversations:kind')}</legend>
        {kinds.map(({ id, icon }) => (
          <label key={id} class="conv-kind">
            <input type="radio" name="kind" checked={kind === id} onChange={() => setKind(id)} />
            <Icon of={icon} />
            {t(`conversations:${id}`)}
          </label>
        ))}
      </fieldset>
      {kind === 'direct' && <NewDirect onClose={onClose} />}
      {kind === 'group' && <NewGroup onClose={onClose} />}
      {kind === 'assistant' && <NewAssistant onCreated={open} />}
    </Dialog>
  )
}

function NewDirect({ onClose }: { onClose(): void }) {
  const begin = async ({ id }: User) => {
    if (await attempt(() => writeTo(id))) onClose()
  }
  return <PeopleSearch label={t('conversations:directLabel')} onPick={(user) => void begin(user)} />
}

function NewGroup({ onClose }: { onClose(): void }) {
  const [title, setTitle] = useState('')
  const [people, setPeople] = useState<readonly User[]>([])
  const [clientId] = useState(newClientId)
  const ids = people.map(({ id }) => id)
  const begin = async () => {
    if (await attempt(() => beginGroup(title.trim(), ids, clientId))) onClose()
  }
  return (
    <Form onSend={() => title.trim() !== '' && begin()}>
      <Field label={t('conversations:groupTitle')} value={title} onValue={setTitle} maxLength={255} isRequired />
      {people.length > 0 && (
        <ul class="conv-chosen" aria-label={t('conversations:groupChosen')}>
          {people.map((user) => (
            <li key={user.id}>
              <button
                type="button"
                class="conv-chip"
                aria-label={t('conversations:takeOut', { name: user.displayName })}
                onClick={() => setPeople(people.filter(({ id }) => id !== user.id))}
              >
                <Avatar name={user.displayName} url={user.avatarUrl} kind={user.kind} size={24} />
                <bdi>{user.displayName}</bdi>
                <Icon of={X} size={14} />
              </button>
            </li>
          ))}
        </ul>
      )}
      <PeopleSearch
        label={t('conversations:groupPeople')}
        exclude={ids}
        onPick={(user) => setPeople([...people, user])}
      />
      <div class="actions">
        <Button kind="primary" disabled={title.trim() === ''} onPress={begin}>
          {t('conversations:begin')}
        </Button>
      </div>
    </Form>
  )
}
