import { Send } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import { newClientId, type Story } from '../../../src/client/index.ts'
import { explain, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { IconButton } from '../ui/button.tsx'
import { react } from './stories.ts'

const emojis = ['❤️', '😂', '😮', '😢', '👏', '🔥']

/** Below somebody else's story: reactions, and a line that goes into the direct conversation with them. */
export function StoryAnswer(options: { story: Story; name: string; onWriting(isWriting: boolean): void }) {
  const { story, name, onWriting } = options
  const [text, setText] = useState('')
  const [said, setSaid] = useState('')
  // the same for the same reply, so that one that is sent again after a lost answer comes once
  const clientId = useRef(newClientId())
  const isSending = useRef(false)
  const { reaction } = story
  const offered = reaction && !emojis.includes(reaction) ? [...emojis, reaction] : emojis

  async function tellOutcome(work: Promise<unknown>, done: string): Promise<boolean> {
    try {
      await work
      setSaid(done)
      return true
    } catch (error) {
      setSaid(explain(error))
      return false
    }
  }

  async function reply(): Promise<void> {
    const content = text.trim()
    if (!content || isSending.current) return
    isSending.current = true
    const sending = client.rest.request('POST', `/v1/stories/${story.id}/replies`, {
      clientId: clientId.current,
      content,
    })
    const isSent = await tellOutcome(sending, t('stories:replied'))
    isSending.current = false
    if (!isSent) return
    clientId.current = newClientId()
    setText('')
  }

  return (
    <div class="stories-answer">
      <fieldset class="stories-emojis">
        <legend class="unseen">{t('stories:react')}</legend>
        {offered.map((emoji) => (
          <button
            key={emoji}
            type="button"
            aria-pressed={emoji === reaction}
            onClick={() => void tellOutcome(react(story.id, emoji === reaction ? undefined : emoji), '')}
          >
            {emoji}
          </button>
        ))}
      </fieldset>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void reply()
        }}
      >
        <input
          type="text"
          dir="auto"
          value={text}
          placeholder={t('stories:replyTo', { name })}
          aria-label={t('stories:replyTo', { name })}
          onInput={(event) => setText(event.currentTarget.value)}
          onFocus={() => onWriting(true)}
          onBlur={() => onWriting(false)}
        />
        <IconButton icon={Send} label={t('stories:reply')} type="submit" />
      </form>
      <p class="stories-said" role="status">
        {said}
      </p>
    </div>
  )
}
