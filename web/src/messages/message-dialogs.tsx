import { useEffect, useState } from 'preact/hooks'
import { type CommandOutput, type Message, newClientId } from '../../../src/client/index.ts'
import { PickConversation } from '../conversations/pick.tsx'
import { explain, formatDateTime, t } from '../i18n.ts'
import { navigate } from '../router.ts'
import { personOf } from '../state/people.ts'
import { client, myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Confirm } from '../ui/confirm.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Markdown } from './markdown.tsx'
import { nameAmong } from './names.ts'
import type { People, Scene, Surroundings } from './scene.ts'

/** What is open over the conversation, of one message. */
export function MessageDialog({ scene, around }: { scene: Scene; around: Surroundings }) {
  const dialog = scene.dialog.value
  if (!dialog) return null
  const { kind, message } = dialog
  const close = () => {
    scene.dialog.value = undefined
  }
  switch (kind) {
    case 'readers':
      return <Readers message={message} people={around.people} onClose={close} />
    case 'revisions':
      return <Revisions message={message} onClose={close} />
    case 'forward':
      return <Forward message={message} onClose={close} />
    case 'delete':
      return (
        <Confirm
          title={t('messages:deleteTitle')}
          text={t('messages:deleteText')}
          label={t('common:delete')}
          onConfirm={() =>
            client.command('message:delete', { conversationId: message.conversationId, messageId: message.id })
          }
          onClose={close}
        />
      )
  }
}

/** The answer to one question of the server; what went wrong is in words. */
function useAnswer<T>(ask: () => Promise<T>): { answer?: T; problem?: string } {
  const [state, setState] = useState<{ answer?: T; problem?: string }>({})
  useEffect(() => {
    ask().then(
      (answer) => setState({ answer }),
      (error) => setState({ problem: explain(error) }),
    )
  }, [])
  return state
}

function Readers({ message, people, onClose }: { message: Message; people: People; onClose(): void }) {
  const { conversationId, id: messageId } = message
  const { answer, problem } = useAnswer<CommandOutput<'message:readers'>>(() =>
    client.command('message:readers', { conversationId, messageId }),
  )
  const readers = answer?.readers.filter(({ userId }) => userId !== myId()) ?? []
  return (
    <Dialog title={t('messages:readBy')} onClose={onClose}>
      {problem && <p class="danger">{problem}</p>}
      {!answer && !problem && <p class="quiet">{t('common:loading')}</p>}
      {answer && readers.length === 0 && <p class="quiet">{t('messages:readByNobody')}</p>}
      <ul class="readers">
        {readers.map(({ userId, readAt }) => {
          const person = people.get(userId) ?? personOf(userId)
          const name = nameAmong(people, userId)
          return (
            <li key={userId} class="reader">
              <Avatar name={name} url={person?.avatarUrl} kind={person?.kind ?? 'human'} size={32} />
              <bdi class="reader-name">{name}</bdi>
              <time class="quiet" dateTime={readAt}>
                {formatDateTime(readAt)}
              </time>
            </li>
          )
        })}
      </ul>
    </Dialog>
  )
}

function Revisions({ message, onClose }: { message: Message; onClose(): void }) {
  const { conversationId, id: messageId } = message
  const { answer, problem } = useAnswer<CommandOutput<'message:revisions'>>(() =>
    client.command('message:revisions', { conversationId, messageId }),
  )
  return (
    <Dialog title={t('messages:earlierTexts')} onClose={onClose}>
      {problem && <p class="danger">{problem}</p>}
      {!answer && !problem && <p class="quiet">{t('common:loading')}</p>}
      <ol class="revisions">
        {answer?.revisions.map(({ content, editedAt }) => (
          <li key={editedAt} class="revision">
            <p class="quiet">{t('messages:untilEdit', { when: formatDateTime(editedAt) })}</p>
            <Markdown text={content} />
          </li>
        ))}
      </ol>
    </Dialog>
  )
}

/** Goes there with it: where it went to is seen. */
function Forward({ message, onClose }: { message: Message; onClose(): void }) {
  const [clientId] = useState(newClientId)
  const forward = async (conversationId: string) => {
    const source = { conversationId: message.conversationId, messageId: message.id }
    await client.command('message:send', { conversationId, clientId, forward: source })
    onClose()
    navigate(`/c/${conversationId}`)
  }
  return <PickConversation title={t('messages:forwardTo')} onPick={forward} onClose={onClose} />
}
