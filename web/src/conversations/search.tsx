import './find.css'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Message } from '../../../src/client/index.ts'
import { explain, t } from '../i18n.ts'
import { conversationOf } from '../state/conversations.ts'
import { titleOf } from '../state/people.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field } from '../ui/field.tsx'
import { moveByArrows } from './arrows.ts'
import { Hit } from './hit.tsx'

const pauseMs = 250

interface Hits {
  query: string
  messages: readonly Message[]
  nextCursor?: string | undefined
  problem?: string
}

/** Looks for messages by their words, in one conversation or in all, newest first. */
export function SearchDialog({ conversationId, onClose }: { conversationId?: string | undefined; onClose(): void }) {
  const [query, setQuery] = useState('')
  const [hits, setHits] = useState<Hits>({ query: '', messages: [] })
  const wanted = query.trim()
  const latest = useRef(wanted)
  latest.current = wanted
  const conversation = conversationId === undefined ? undefined : conversationOf(conversationId)?.conversation

  async function find(cursor?: string): Promise<void> {
    const input = { query: wanted, ...(conversationId && { conversationId }), ...(cursor && { cursor }) }
    const page = await client.command('message:search', input)
    if (latest.current !== wanted) return
    const before = cursor === undefined ? [] : hits.messages
    setHits({ query: wanted, messages: [...before, ...page.messages], nextCursor: page.nextCursor })
  }

  useEffect(() => {
    if (wanted === '') {
      setHits({ query: '', messages: [] })
      return
    }
    const fail = (error: unknown) => setHits({ query: wanted, messages: [], problem: explain(error) })
    const timer = setTimeout(() => find().catch(fail), pauseMs)
    return () => clearTimeout(timer)
  }, [wanted])

  const isAnswered = wanted !== '' && hits.query === wanted && !hits.problem
  return (
    <Dialog
      title={
        conversation ? t('conversations:searchIn', { title: titleOf(conversation) }) : t('conversations:searchAll')
      }
      onClose={onClose}
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is in it */}
      <div class="conv-find" onKeyDown={moveByArrows}>
        <Field
          label={t('conversations:searchWords')}
          type="search"
          autocomplete="off"
          maxLength={200}
          value={query}
          onValue={setQuery}
          problem={hits.problem}
        />
        <ul class="conv-results conv-results-tall" aria-label={t('conversations:messages')}>
          {hits.messages.map((message) => (
            <li key={message.id}>
              <Hit message={message} query={hits.query} isTitled={!conversationId} onGone={onClose} />
            </li>
          ))}
        </ul>
        <p role="status" class="quiet">
          {isAnswered && hits.messages.length === 0 && t('conversations:nothingFound')}
        </p>
        {hits.nextCursor && <Button onPress={() => find(hits.nextCursor)}>{t('common:more')}</Button>}
      </div>
    </Dialog>
  )
}
