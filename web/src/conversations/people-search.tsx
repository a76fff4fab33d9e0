import './find.css'
import { useState } from 'preact/hooks'
import type { User } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { conversations } from '../state/conversations.ts'
import { client, myId } from '../state/session.ts'
import { Field } from '../ui/field.tsx'
import { moveByArrows } from './arrows.ts'
import { PersonButton } from './faces.tsx'
import { acquaintancesIn } from './filter.ts'
import { useFound } from './found.ts'

const findPeople = async (query: string): Promise<User[]> => (await client.rest.searchUsers(query)).items

/** Finds people and agents by the beginning of their names; before anything is typed it offers those one knows. */
export function PeopleSearch(options: { label: string; onPick(user: User): void; exclude?: readonly string[] }) {
  const { label, onPick, exclude = [] } = options
  const [query, setQuery] = useState('')
  const wanted = query.trim()
  const { items, isAsking, problem } = useFound(wanted, findPeople)
  const offered = wanted === '' ? acquaintancesIn(conversations.value, myId()) : items
  const people = offered.filter(({ id }) => !exclude.includes(id))
  const isNobody = wanted !== '' && people.length === 0 && !isAsking
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is in it
    <div class="conv-find" onKeyDown={moveByArrows}>
      <Field
        label={label}
        type="search"
        autocomplete="off"
        maxLength={64}
        value={query}
        onValue={setQuery}
        hint={t('conversations:findHint')}
        problem={problem}
      />
      <ul class="conv-results" aria-label={label}>
        {people.map((user) => (
          <li key={user.id}>
            <PersonButton user={user} onPick={onPick} />
          </li>
        ))}
      </ul>
      <p role="status" class="quiet">
        {isNobody && !problem && t('conversations:nobodyFound')}
      </p>
    </div>
  )
}
