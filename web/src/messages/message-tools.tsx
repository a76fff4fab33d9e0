import { CheckCheck, Copy, CornerUpRight, Ellipsis, type IconNode, Pencil, Reply, SmilePlus, Trash2 } from 'lucide'
import type { Message } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { myId } from '../state/session.ts'
import { attempt, say } from '../state/toasts.ts'
import { canCopy } from '../ui/copy.tsx'
import { Icon } from '../ui/icon.tsx'
import { Popup } from '../ui/popup.tsx'
import { quickEmoji } from './emoji.ts'
import { EmojiPicker } from './emoji-picker.tsx'
import { mayDelete, mayEdit } from './permissions.ts'
import { toggleReaction } from './reactions.tsx'
import type { OpenPopup, Scene, Surroundings } from './scene.ts'

/** Beside a message that the pointer or the focus is on: react, reply, and the rest in a menu. */
export function MessageTools({ message, scene }: { message: Message; scene: Scene }) {
  if (message.deletedAt) return null
  const open = (kind: OpenPopup['kind']) => (event: MouseEvent) => {
    scene.popup.value = { kind, message, anchor: event.currentTarget as Element }
  }
  return (
    <div class="msg-tools">
      <Tool icon={SmilePlus} label={t('messages:react')} popup="dialog" onClick={open('emoji')} />
      <Tool icon={Reply} label={t('messages:reply')} onClick={() => reply(scene, message)} />
      <Tool icon={Ellipsis} label={t('common:more')} popup="menu" onClick={open('menu')} />
    </div>
  )
}

function Tool(options: { icon: IconNode; label: string; popup?: 'menu' | 'dialog'; onClick(event: MouseEvent): void }) {
  const { icon, label, popup, onClick } = options
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} aria-haspopup={popup} onClick={onClick}>
      <Icon of={icon} size={18} />
    </button>
  )
}

function reply(scene: Scene, { id, seq, senderId, content }: Message): void {
  scene.editing.value = undefined
  scene.replyTo.value = { id, seq, ...(senderId !== undefined && { senderId }), excerpt: content.slice(0, 100) }
  scene.focused.value++
}

/** What a button of a message has opened. One for the screen: rows come and go. */
export function MessagePopup({ scene, around }: { scene: Scene; around: Surroundings }) {
  const popup = scene.popup.value
  if (!popup) return null
  const close = () => {
    // a later one may have taken its place
    if (scene.popup.value === popup) scene.popup.value = undefined
  }
  const react = (emoji: string) => {
    close()
    void toggleReaction(popup.message, emoji)
  }
  if (popup.kind === 'emoji')
    return <EmojiPicker key={popup.message.id} anchor={popup.anchor} onPick={react} onClose={close} />
  return (
    <Popup key={popup.message.id} anchor={popup.anchor} label={t('common:more')} role="menu" onClose={close}>
      <div class="quick-emoji">
        {quickEmoji.map((emoji) => (
          <button
            key={emoji}
            type="button"
            role="menuitem"
            class="emoji-choice"
            aria-label={t('messages:reactWith', { emoji })}
            onClick={() => react(emoji)}
          >
            {emoji}
          </button>
        ))}
      </div>
      {actionsOf(popup.message, scene, around).map(({ icon, label, isDanger, onPress }) => (
        <button
          key={label}
          type="button"
          role="menuitem"
          class={isDanger ? 'popup-item danger' : 'popup-item'}
          onClick={() => {
            close()
            onPress()
          }}
        >
          <Icon of={icon} size={18} />
          {label}
        </button>
      ))}
    </Popup>
  )
}

interface Action {
  icon: IconNode
  label: string
  isDanger?: boolean
  onPress(): void
}

function actionsOf(message: Message, scene: Scene, { conversation }: Surroundings): Action[] {
  const dialog = (kind: 'readers' | 'delete' | 'forward') => () => {
    scene.dialog.value = { kind, message }
  }
  const isWhole = message.status !== 'streaming'
  const all: (Action & { isOffered: boolean })[] = [
    { icon: Reply, label: t('messages:reply'), isOffered: true, onPress: () => reply(scene, message) },
    { icon: CornerUpRight, label: t('messages:forward'), isOffered: isWhole, onPress: dialog('forward') },
    {
      icon: Copy,
      label: t('messages:copyText'),
      isOffered: canCopy && message.content !== '',
      onPress: () => copyText(message),
    },
    {
      icon: Pencil,
      label: t('messages:edit'),
      isOffered: mayEdit(message, myId()),
      onPress: () => {
        scene.editing.value = message
      },
    },
    {
      icon: CheckCheck,
      label: t('messages:readBy'),
      isOffered: message.senderId === myId() && conversation.type !== 'assistant',
      onPress: dialog('readers'),
    },
    {
      icon: Trash2,
      label: t('common:delete'),
      isDanger: true,
      isOffered: isWhole && mayDelete(message, conversation, myId()),
      onPress: dialog('delete'),
    },
  ]
  return all.filter(({ isOffered }) => isOffered)
}

function copyText({ content }: Message): void {
  void attempt(async () => {
    await navigator.clipboard.writeText(content)
    say(t('common:copied'))
  })
}
