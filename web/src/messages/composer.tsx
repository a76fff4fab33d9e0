import './composer.css'
import { Paperclip, SendHorizontal, Smile } from 'lucide'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { ConversationCopy } from '../../../src/client/index.ts'
import { focusOpenEntry } from '../conversations/focus.ts'
import { formatNumber, t } from '../i18n.ts'
import { client, myId } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { IconButton } from '../ui/button.tsx'
import { EditBar, ReplyBar } from './composer-bars.tsx'
import { EmojiPicker } from './emoji-picker.tsx'
import { MentionList, useCompletion } from './mention-list.tsx'
import { draftOf, keepDraft } from './own-drafts.ts'
import { lastEditable } from './permissions.ts'
import type { Scene } from './scene.ts'
import { createTypingNotice } from './typing-notice.ts'
import { UploadList } from './upload-list.tsx'
import { uploadsOf } from './uploads.ts'

/** As the server takes it, in UTF-16 units. */
const maxLength = 16_000
/** From here on it says how many are left. */
const nearMaxLength = 15_500

/** Where messages are written: text, files, replies and changes of earlier messages. */
export function Composer({ copy, scene }: { copy: ConversationCopy; scene: Scene }) {
  const { conversationId, replyTo, editing } = scene
  const input = useRef<HTMLTextAreaElement>(null)
  const [text, setText] = useState(() => draftText(conversationId))
  /** It was sent while files were still on their way: it goes when they are there. */
  const [isSendDue, setSendDue] = useState(false)
  const uploads = uploadsOf(conversationId)
  const notice = useMemo(
    () =>
      createTypingNotice((isTyping) => {
        client.command('typing', { conversationId, isTyping }).catch(() => {})
      }),
    [conversationId],
  )
  const completion = useCompletion(copy.conversation, input, write)
  const edited = editing.value

  useEffect(() => notice.stop, [notice])
  useLayoutEffect(() => {
    setText(edited ? edited.content : draftText(conversationId))
    if (edited) focusEnd(input.current)
  }, [edited])
  useEffect(() => {
    // the text may still be that of a message which was being changed
    if (!edited) keepDraft(conversationId, { text: draftText(conversationId), replyTo: replyTo.value })
  }, [replyTo.value])
  useEffect(() => {
    // whoever comes for a message is led to it, and a keyboard of the screen comes when it is asked for
    if (!scene.jump.peek() && !hasTouchKeyboard()) focusEnd(input.current)
  }, [])
  useEffect(() => {
    if (scene.focused.value > 0) input.current?.focus()
  }, [scene.focused.value])
  useLayoutEffect(() => grow(input.current), [text])

  function write(next: string): void {
    setText(next)
    if (!edited) keepDraft(conversationId, { text: next, replyTo: replyTo.value })
    if (next === '') notice.stop()
    else notice.touch()
  }

  const files = uploads.list.value
  const isUploading = files.some(({ attachment }) => !attachment)
  const hasSomething = text.trim() !== '' || (edited ? Boolean(edited.attachments) : files.length > 0)
  const isTooLong = text.length > maxLength
  const isReady = hasSomething && !isTooLong && (Boolean(edited) || !files.some(({ problem }) => problem))

  useEffect(() => {
    if (isSendDue && !isUploading && isReady) void submit()
    else if (!isReady) setSendDue(false)
  }, [isSendDue, isUploading, isReady])

  async function submit(): Promise<void> {
    if (!isReady) return
    notice.stop()
    if (edited) {
      const isDone = await attempt(() =>
        client.command('message:edit', { conversationId, messageId: edited.id, content: text }),
      )
      if (isDone) editing.value = undefined
      return
    }
    setSendDue(isUploading)
    if (isUploading) return
    const attachments = uploads.take()
    client.send(conversationId, text, {
      ...(attachments.length > 0 && { attachments }),
      ...(replyTo.value && { replyToId: replyTo.value.id }),
    })
    setText('')
    replyTo.value = undefined
    keepDraft(conversationId, { text: '' })
    input.current?.focus()
  }

  function press(event: KeyboardEvent): void {
    // while an input method composes, keys are its own
    if (event.isComposing || completion.press(event)) return
    if (event.key === 'Enter' && !event.shiftKey && !hasTouchKeyboard()) {
      event.preventDefault()
      void submit()
    } else if (event.key === 'ArrowUp' && text === '' && !edited) {
      const last = lastEditable(copy.messages, myId())
      if (!last) return
      event.preventDefault()
      editing.value = last
    } else if (event.key === 'Escape') {
      if (edited) editing.value = undefined
      else if (replyTo.value) replyTo.value = undefined
      else focusOpenEntry()
    }
  }

  function paste(event: ClipboardEvent): void {
    const pasted = [...(event.clipboardData?.files ?? [])]
    if (pasted.length === 0 || edited) return
    event.preventDefault()
    uploads.add(pasted)
  }

  return (
    <form
      class="composer"
      aria-label={t('messages:composer')}
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      {edited && <EditBar message={edited} onCancel={() => (editing.value = undefined)} />}
      {!edited && replyTo.value && (
        <ReplyBar target={replyTo.value} copy={copy} onCancel={() => (replyTo.value = undefined)} />
      )}
      {!edited && <UploadList uploads={uploads} />}
      <MentionList completion={completion} />
      <div class="composer-line">
        {!edited && <AttachButton onFiles={uploads.add} />}
        <textarea
          ref={input}
          class="composer-text"
          rows={1}
          dir="auto"
          value={text}
          placeholder={t('messages:placeholder')}
          aria-label={t('messages:placeholder')}
          {...completion.attributes}
          onInput={(event) => {
            write(event.currentTarget.value)
            completion.look()
          }}
          onKeyDown={press}
          onSelect={completion.look}
          onPaste={paste}
          onBlur={notice.stop}
        />
        <EmojiButton onPick={(emoji) => write(insert(input.current, emoji))} />
        <IconButton
          type="submit"
          class="composer-send"
          icon={SendHorizontal}
          label={edited ? t('common:save') : t('messages:send')}
          disabled={!isReady}
        />
      </div>
      <p class={isTooLong ? 'composer-hint danger' : 'composer-hint quiet'} role="status">
        {hintOf(text.length, isSendDue)}
      </p>
    </form>
  )
}

const draftText = (conversationId: string): string => draftOf(conversationId)?.text ?? ''

function hintOf(length: number, isSendDue: boolean): string {
  if (length > maxLength)
    return t('messages:tooLong', { max: formatNumber(maxLength), over: formatNumber(length - maxLength) })
  if (length > nearMaxLength) return t('messages:charactersLeft', { count: maxLength - length })
  return isSendDue ? t('messages:sendDue') : ''
}

function AttachButton({ onFiles }: { onFiles(files: Iterable<File>): void }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        onChange={(event) => {
          onFiles(event.currentTarget.files ?? [])
          event.currentTarget.value = ''
        }}
      />
      <IconButton icon={Paperclip} label={t('messages:attach')} onPress={() => input.current?.click()} />
    </>
  )
}

function EmojiButton({ onPick }: { onPick(emoji: string): void }) {
  const [anchor, setAnchor] = useState<Element>()
  const box = useRef<HTMLSpanElement>(null)
  return (
    <span ref={box}>
      <IconButton
        icon={Smile}
        label={t('messages:emoji')}
        aria-haspopup="dialog"
        aria-expanded={anchor !== undefined}
        onPress={() => setAnchor(box.current?.querySelector('button') ?? undefined)}
      />
      {anchor && <EmojiPicker anchor={anchor} onPick={onPick} onClose={() => setAnchor(undefined)} />}
    </span>
  )
}

/** The text with something in place of what is selected. */
function insert(input: HTMLTextAreaElement | null, added: string): string {
  if (!input) return added
  input.setRangeText(added, input.selectionStart, input.selectionEnd, 'end')
  return input.value
}

function focusEnd(input: HTMLTextAreaElement | null): void {
  input?.focus()
  // the text is there after the next rendering
  requestAnimationFrame(() => input?.setSelectionRange(input.value.length, input.value.length))
}

/** On keyboards of screens Enter begins a line: sending has its button there. */
const hasTouchKeyboard = (): boolean => matchMedia('(hover: none) and (pointer: coarse)').matches

const growsByItself = CSS.supports('field-sizing', 'content')

function grow(input: HTMLTextAreaElement | null): void {
  if (!input || growsByItself) return
  input.style.blockSize = 'auto'
  input.style.blockSize = `${input.scrollHeight}px`
}
