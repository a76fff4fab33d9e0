import './find.css'
import { useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { conversations } from '../state/conversations.ts'
import { titleOf } from '../state/people.ts'
import { attempt } from '../state/toasts.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Field } from '../ui/field.tsx'
import { moveByArrows } from './arrows.ts'
import { ConversationAvatar } from './faces.tsx'
import { withTitle } from './filter.ts'

/** More than one looks through: whoever is further down types a part of the title. */
const maxShown = 50

/** Chooses one of the own conversations, such as the one to forward to. */
export function PickConversation(options: { title: string; onPick(conversationId: string): unknown; onClose(): void }) {
  const { title, onPick, onClose } = options
  const [query, setQuery] = useState('')
  const shown = withTitle(conversations.value, query, titleOf).slice(0, maxShown)
  return (
    <Dialog title={title} onClose={onClose}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it hears the keys of what is in it */}
      <div class="conv-find" onKeyDown={moveByArrows}>
        <Field
          label={t('conversations:pickSearch')}
          type="search"
          autocomplete="off"
          value={query}
          onValue={setQuery}
        />
        <ul class="conv-results" aria-label={t('conversations:list')}>
          {shown.map((conversation) => (
            <li key={conversation.id}>
              <ConversationButton conversation={conversation} onPick={onPick} />
            </li>
          ))}
        </ul>
        <p role="status" class="quiet">
          {shown.length === 0 && t('conversations:nothingFound')}
        </p>
      </div>
    </Dialog>
  )
}

function ConversationButton(options: { conversation: Conversation; onPick(conversationId: string): unknown }) {
  const { conversation, onPick } = options
  const pick = () => void attempt(async () => onPick(conversation.id))
  return (
    <button type="button" class="conv-person" data-stop onClick={pick}>
      <ConversationAvatar conversation={conversation} size={38} />
      <span class="conv-person-names">
        <bdi>{titleOf(conversation)}</bdi>
      </span>
    </button>
  )
}
