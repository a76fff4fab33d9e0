import type { RefObject } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import type { CommandOutput, Conversation } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client, myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { complete, completionsOf, mentionBefore } from './mentions.ts'

type Member = Conversation['participants'][number]

/** Of a group of more, these many are offered. */
const maxMembers = 1_000
const pageSize = 200

export interface Completion {
  listId: string
  people: readonly Member[]
  active: number
  /** What the text field says of the list. */
  attributes: Record<string, string | boolean | undefined>
  /** The caret has moved, or the text before it has changed. */
  look(): void
  /** Whether the key was for the list. */
  press(event: KeyboardEvent): boolean
  choose(person: Member): void
}

/** Offers the people of a conversation while an @name is typed. */
export function useCompletion(
  conversation: Conversation,
  input: RefObject<HTMLTextAreaElement | null>,
  write: (text: string) => void,
): Completion {
  const listId = useId()
  const [query, setQuery] = useState<string>()
  const [active, setActive] = useState(0)
  const members = useMembers(conversation, query !== undefined)
  const others = members.filter(({ userId }) => userId !== myId())
  const people = query === undefined ? [] : completionsOf(query, others)
  const isOpen = people.length > 0

  function look(): void {
    const field = input.current
    const found =
      field && field.selectionStart === field.selectionEnd
        ? mentionBefore(field.value, field.selectionStart)
        : undefined
    setQuery(found?.query)
    setActive(0)
  }

  function choose({ username }: Member): void {
    const field = input.current
    const found = field && mentionBefore(field.value, field.selectionStart)
    if (!found) return
    const done = complete(field.value, found.start, field.selectionStart, username)
    field.value = done.text
    field.setSelectionRange(done.caret, done.caret)
    field.focus()
    write(done.text)
    setQuery(undefined)
  }

  function press(event: KeyboardEvent): boolean {
    if (!isOpen) return false
    const step = { ArrowDown: 1, ArrowUp: people.length - 1 }[event.key]
    const chosen = people[active]
    if (step !== undefined) setActive((active + step) % people.length)
    else if ((event.key === 'Enter' || event.key === 'Tab') && chosen) choose(chosen)
    else if (event.key === 'Escape') setQuery(undefined)
    else return false
    event.preventDefault()
    return true
  }

  return {
    listId,
    people,
    active,
    look,
    press,
    choose,
    // a textarea is no combobox by the letter, but without the role nobody hears of the list
    attributes: {
      role: 'combobox',
      'aria-expanded': isOpen,
      'aria-autocomplete': 'list',
      'aria-haspopup': 'listbox',
      'aria-controls': isOpen ? listId : undefined,
      'aria-activedescendant': isOpen ? `${listId}-${active}` : undefined,
    },
  }
}

/** Those whom a conversation shows, or, once `isNeeded`, those whom the server lists of a larger one. */
function useMembers(conversation: Conversation, isNeeded: boolean): readonly Member[] {
  const [listed, setListed] = useState<readonly Member[]>()
  const asked = useRef(false)
  const isPartial = conversation.participants.length < conversation.participantCount
  useEffect(() => {
    if (!isNeeded || !isPartial || asked.current) return
    asked.current = true
    listMembers(conversation.id).then(setListed, () => {
      asked.current = false
    })
  }, [isNeeded, isPartial])
  return isPartial && listed ? listed : conversation.participants
}

async function listMembers(conversationId: string): Promise<Member[]> {
  const members: Member[] = []
  let cursor: string | undefined
  do {
    const page: CommandOutput<'participant:list'> = await client.command('participant:list', {
      conversationId,
      limit: pageSize,
      ...(cursor !== undefined && { cursor }),
    })
    members.push(...page.participants)
    cursor = page.nextCursor
  } while (cursor !== undefined && members.length < maxMembers)
  return members
}

export function MentionList({ completion }: { completion: Completion }) {
  const { listId, people, active, choose } = completion
  if (people.length === 0) return null
  return (
    <div id={listId} class="mentions" role="listbox" aria-label={t('messages:mentions')}>
      {people.map((person, index) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the text, which names the active option
        // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the text
        <div
          key={person.userId}
          id={`${listId}-${index}`}
          class="mention-option"
          role="option"
          aria-selected={index === active}
          onPointerDown={(event) => event.preventDefault()}
          onClick={() => choose(person)}
        >
          <Avatar name={person.displayName} url={person.avatarUrl} kind={person.kind} size={28} />
          <span dir="auto">{person.displayName}</span>
          <span class="quiet">@{person.username}</span>
        </div>
      ))}
    </div>
  )
}
