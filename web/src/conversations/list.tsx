import './list.css'
import { ChevronDown, ChevronRight, QrCode, Search, SquarePen } from 'lucide'
import { useCallback, useMemo, useRef, useState } from 'preact/hooks'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import type { Message, User } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { followLink, pathAfter } from '../router.ts'
import { conversations } from '../state/conversations.ts'
import { titleOf } from '../state/people.ts'
import { client, me } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { StoriesBar } from '../stories/bar.tsx'
import { Avatar } from '../ui/avatar.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { Icon } from '../ui/icon.tsx'
import { type Ending, writeTo } from './actions.ts'
import { EndDialog } from './end-dialog.tsx'
import { Entry } from './entry.tsx'
import { PersonButton } from './faces.tsx'
import { useFound } from './found.ts'
import { Hit } from './hit.tsx'
import { InviteDialog } from './invite-dialog.tsx'
import { NewConversation } from './new.tsx'
import { keyOf, listRows, type Row, searchRows } from './rows.ts'

type OnEnd = (id: string, ending: Ending) => void

const maxPeople = 5
/** As high as an entry is, in pixels: for those that were not drawn yet. */
const entryHeight = 68

const findPeople = async (query: string): Promise<User[]> =>
  (await client.rest.searchUsers(query, { limit: maxPeople })).items

const findMessages = async (query: string): Promise<Message[]> =>
  (await client.command('message:search', { query })).messages

/** The own conversations, and what a search finds in and beside them. */
export function ConversationList() {
  const [asked, ask] = useState<'new' | 'invite'>()
  const [ending, setEnding] = useState<{ id: string; ending: Ending }>()
  const [typed, setTyped] = useState('')
  const query = typed.trim()
  // the same function at each drawing: else each would draw all entries anew
  const end = useCallback<OnEnd>((id, how) => setEnding({ id, ending: how }), [])
  return (
    <>
      <header class="conv-head">
        <div class="conv-head-line">
          <Account />
          <h1 class="conv-brand">Kintsugi</h1>
          <IconButton icon={QrCode} label={t('conversations:invite')} onPress={() => ask('invite')} />
          <IconButton icon={SquarePen} label={t('conversations:new')} onPress={() => ask('new')} />
        </div>
        <SearchField value={typed} onValue={setTyped} />
      </header>
      <div class="conv-body">
        {query === '' && <StoriesBar />}
        {query === '' ? (
          <Own onNew={() => ask('new')} onEnd={end} />
        ) : (
          <Results query={query} onEnd={end} onPicked={() => setTyped('')} />
        )}
      </div>
      {asked === 'new' && <NewConversation onClose={() => ask(undefined)} />}
      {asked === 'invite' && <InviteDialog onClose={() => ask(undefined)} />}
      {ending && <EndDialog {...ending} onClose={() => setEnding(undefined)} />}
    </>
  )
}

function Account() {
  if (!me.value) return null
  const { displayName, avatarUrl } = me.value
  return (
    <a class="conv-account" href="/settings" aria-label={t('conversations:account')} onClick={followLink}>
      <Avatar name={displayName} url={avatarUrl} size={36} />
    </a>
  )
}

function SearchField({ value, onValue }: { value: string; onValue(value: string): void }) {
  return (
    <search class="conv-search">
      <Icon of={Search} size={18} />
      <input
        type="search"
        dir="auto"
        maxLength={64}
        aria-label={`${t('conversations:search')}: ${t('conversations:searchHint')}`}
        placeholder={t('conversations:searchHint')}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onValue('')
          if (event.key !== 'ArrowDown') return
          event.preventDefault()
          document.querySelector<HTMLElement>('.conv-rows [data-entry][tabindex="0"], .conv-rows [data-stop]')?.focus()
        }}
      />
    </search>
  )
}

function Own({ onNew, onEnd }: { onNew(): void; onEnd: OnEnd }) {
  const [isArchiveOpen, setArchiveOpen] = useState(false)
  const all = conversations.value
  const rows = useMemo(() => listRows(all, isArchiveOpen), [all, isArchiveOpen])
  if (all.length === 0)
    return (
      <div class="empty">
        <p>{t('conversations:empty')}</p>
        <p>{t('conversations:emptyHint')}</p>
        <Button kind="primary" icon={SquarePen} onPress={onNew}>
          {t('conversations:new')}
        </Button>
      </div>
    )
  return <Rows rows={rows} query="" onEnd={onEnd} onArchive={() => setArchiveOpen(!isArchiveOpen)} />
}

function Results({ query, onEnd, onPicked }: { query: string; onEnd: OnEnd; onPicked(): void }) {
  const people = useFound(query, findPeople)
  const messages = useFound(query, findMessages)
  const found = { people: people.items, messages: messages.items }
  const rows = searchRows({ conversations: conversations.value, query, titleOf, found })
  const isAsking = people.isAsking || messages.isAsking
  return (
    <>
      <p role="status" class={rows.length === 0 ? 'conv-note quiet' : 'unseen'}>
        {isAsking && t('conversations:asking')}
        {!isAsking && rows.length === 0 && (messages.problem ?? t('conversations:nothingFound'))}
      </p>
      {rows.length > 0 && <Rows rows={rows} query={query} onEnd={onEnd} onPicked={onPicked} />}
    </>
  )
}

interface RowsOptions {
  rows: readonly Row[]
  query: string
  onEnd: OnEnd
  onArchive?(): void
  onPicked?(): void
}

function Rows({ rows, query, onEnd, onArchive, onPicked }: RowsOptions) {
  const list = useRef<VirtualizerHandle>(null)
  const box = useRef<HTMLDivElement>(null)
  const [focused, setFocused] = useState<string>()
  const openId = pathAfter('/c/')
  const keys = rows.map(keyOf)
  // of so many entries one is a stop of the tab key: that of the focus, else the open one, else the first
  const stop = [focused, openId].find((key) => key !== undefined && keys.includes(key)) ?? keys[0]
  const stopAt = Math.max(0, keys.indexOf(stop ?? ''))

  function moveTo(index: number): void {
    const key = keys[index]
    if (key === undefined) return
    setFocused(key)
    list.current?.scrollToIndex(index, { align: 'nearest' })
    const find = () => box.current?.querySelector<HTMLElement>(`[data-row="${key}"] :is([data-entry], [data-stop])`)
    const drawn = find()
    // the next key may come before the next frame
    if (drawn) drawn.focus({ preventScroll: true })
    // drawn in the frame after the list has moved
    else requestAnimationFrame(() => requestAnimationFrame(() => find()?.focus()))
  }

  function move(event: KeyboardEvent): void {
    const from = document.activeElement?.closest<HTMLElement>('[data-row]')?.dataset.row
    if (from === undefined || document.activeElement?.closest('.menu')) return
    const isStop = (index: number) => rows[index]?.kind !== 'heading'
    const step = event.key === 'ArrowUp' ? -1 : 1
    const at = keys.indexOf(from) + step
    const next = { ArrowDown: at, ArrowUp: at, Home: 0, End: keys.length - 1 }[event.key]
    if (next === undefined) return
    event.preventDefault()
    moveTo(isStop(next) ? next : next + step)
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is in it
    <div class="conv-rows" ref={box} onKeyDown={move}>
      <Virtualizer ref={list} as="ul" item="li" data={rows} itemSize={entryHeight} keepMounted={[stopAt]}>
        {(row) => (
          <div key={keyOf(row)} data-row={keyOf(row)}>
            {row.kind === 'conversation' ? (
              <Entry id={row.id} isOpen={row.id === openId} isStop={row.id === stop} onEnd={onEnd} />
            ) : (
              <OtherRow row={row} query={query} onArchive={onArchive} onPicked={onPicked} />
            )}
          </div>
        )}
      </Virtualizer>
    </div>
  )
}

function OtherRow(options: {
  row: Exclude<Row, { kind: 'conversation' }>
  query: string
  onArchive: (() => void) | undefined
  onPicked: (() => void) | undefined
}) {
  const { row, query, onArchive, onPicked } = options
  switch (row.kind) {
    case 'heading':
      return <h2 class="conv-heading">{t(row.of === 'people' ? 'conversations:people' : 'conversations:messages')}</h2>
    case 'archive':
      return (
        <button type="button" class="conv-archive" data-stop aria-expanded={row.isOpen} onClick={onArchive}>
          <Icon of={row.isOpen ? ChevronDown : ChevronRight} size={18} />
          {t('conversations:archived', { count: row.count })}
        </button>
      )
    case 'person':
      return (
        <PersonButton
          user={row.user}
          onPick={({ id }) =>
            void attempt(async () => {
              await writeTo(id)
              onPicked?.()
            })
          }
        />
      )
    case 'hit':
      return <Hit message={row.message} query={query} />
  }
}
