import { UserPlus } from 'lucide'
import { useState } from 'preact/hooks'
import type { Conversation, Participant, User } from '../../../src/client/index.ts'
import { locale, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { attempt, say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field } from '../ui/field.tsx'
import { matches } from './filter.ts'
import { InfoPerson } from './info-person.tsx'
import { inOrder } from './people.ts'
import { PeopleSearch } from './people-search.tsx'
import { rightsOf } from './rights.ts'

/** Drawn at once; of more, the rest comes by a press. */
const step = 50
/** From so many on one may look for a name among them. */
const manyPeople = 12

/** Who is in a group, with what one may do about them. */
export function InfoPeople(options: {
  conversation: Conversation
  people: readonly Participant[]
  role: Participant['role'] | undefined
  onGone(): void
}) {
  const { conversation, people, role, onGone } = options
  const [query, setQuery] = useState('')
  const [limit, setLimit] = useState(step)
  const [isAdding, setAdding] = useState(false)
  const named = people.filter((one) => matches(`${one.displayName} ${one.username}`, query.trim()))
  const ordered = inOrder(named, locale.value)
  return (
    <section class="conv-people">
      <div class="conv-people-head">
        <h3>{t('conversations:count', { count: conversation.participantCount })}</h3>
        {rightsOf(conversation.type, role).mayAdd && (
          <Button icon={UserPlus} onPress={() => setAdding(true)}>
            {t('conversations:addPeople')}
          </Button>
        )}
      </div>
      {people.length >= manyPeople && (
        <Field label={t('conversations:filterPeople')} type="search" value={query} onValue={setQuery} />
      )}
      <ul class="conv-results conv-results-open">
        {ordered.slice(0, limit).map((person) => (
          <li key={person.userId}>
            <InfoPerson conversationId={conversation.id} person={person} role={role} onGone={onGone} />
          </li>
        ))}
      </ul>
      {ordered.length > limit && <Button onPress={() => setLimit(limit + step)}>{t('common:more')}</Button>}
      {isAdding && (
        <AddPeople
          conversationId={conversation.id}
          present={people.map(({ userId }) => userId)}
          onClose={() => setAdding(false)}
        />
      )}
    </section>
  )
}

function AddPeople(options: { conversationId: string; present: readonly string[]; onClose(): void }) {
  const { conversationId, present, onClose } = options
  const add = ({ id, displayName }: User) =>
    attempt(async () => {
      await client.command('participant:add', { conversationId, userId: id })
      say(t('conversations:added', { name: displayName }))
    })
  return (
    <Dialog title={t('conversations:addPeople')} onClose={onClose}>
      <PeopleSearch label={t('conversations:add')} exclude={present} onPick={(user) => void add(user)} />
    </Dialog>
  )
}
