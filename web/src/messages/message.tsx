import './message.css'
import { CornerUpRight, Reply, Sparkles } from 'lucide'
import { useMemo } from 'preact/hooks'
import type { Message } from '../../../src/client/index.ts'
import { AnswerFooter } from '../ai/answer-footer.tsx'
import { labelOf } from '../ai/models.ts'
import { formatTime, t } from '../i18n.ts'
import { personOf } from '../state/people.ts'
import { myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Icon } from '../ui/icon.tsx'
import { Attachments } from './attachments.tsx'
import type { Mentions } from './block-html.ts'
import { plainOf } from './excerpt.ts'
import { Markdown } from './markdown.tsx'
import { MessageMeta } from './message-meta.tsx'
import { MessageTools } from './message-tools.tsx'
import { nameAmong } from './names.ts'
import { Outcome } from './outcome.tsx'
import { Reactions } from './reactions.tsx'
import type { Tick } from './receipts.ts'
import type { People, Scene, Surroundings } from './scene.ts'

interface MessageOptions {
  message: Message
  scene: Scene
  around: Surroundings
  tick: Tick | undefined
  startsGroup: boolean
}

/** A stored message: own ones on one side, others' on the other, answers of models as wide as there is room. */
export function MessageView({ message, scene, around, tick, startsGroup }: MessageOptions) {
  const { conversation, people } = around
  const isOwn = message.senderId === myId()
  const isAnswer = message.role === 'assistant'
  const isInGroup = conversation.type === 'group'
  const speaker = speakerOf(message, people)
  const side = isOwn ? 'msg-own' : 'msg-other'
  const classes = ['msg', isAnswer ? 'msg-answer' : side, isHighlighted(scene, message) && 'msg-highlighted']
  return (
    <article
      class={classes.filter(Boolean).join(' ')}
      tabIndex={-1}
      data-seq={message.seq}
      aria-label={t('messages:messageOf', { name: speaker, time: formatTime(message.createdAt) })}
    >
      {isInGroup && !isOwn && <Face message={message} people={people} isShown={startsGroup} name={speaker} />}
      <div class="msg-main">
        {isInGroup && !isOwn && startsGroup && (
          <p class="msg-speaker">
            <bdi>{speaker}</bdi>
            {people.get(message.senderId ?? '')?.kind === 'agent' && (
              <span class="msg-agent">
                <Icon of={Sparkles} size={12} />
                {t('common:agent')}
              </span>
            )}
          </p>
        )}
        <div class="msg-bubble">
          <Origin message={message} scene={scene} people={people} />
          <Body message={message} people={people} />
          <MessageMeta message={message} scene={scene} tick={isOwn ? tick : undefined} />
        </div>
        <Outcome message={message} />
        <Reactions message={message} people={people} />
        {isAnswer && message.modelId && !message.deletedAt && (
          <AnswerFooter message={message} conversation={conversation} />
        )}
      </div>
      <MessageTools message={message} scene={scene} />
    </article>
  )
}

const isHighlighted = (scene: Scene, { seq }: Message): boolean => scene.highlighted.value === seq

function speakerOf({ senderId, modelId, role }: Message, people: People): string {
  if (senderId === myId()) return t('common:you')
  if (role === 'assistant' && senderId === undefined && modelId) return labelOf(modelId)
  return nameAmong(people, senderId)
}

function Face(options: { message: Message; people: People; isShown: boolean; name: string }) {
  const { senderId } = options.message
  if (!options.isShown) return <span class="msg-face" />
  const person = senderId === undefined ? undefined : (options.people.get(senderId) ?? personOf(senderId))
  return (
    <span class="msg-face">
      <Avatar name={options.name} url={person?.avatarUrl} kind={person?.kind ?? 'human'} size={32} />
    </span>
  )
}

/** Where a message comes from: another conversation, a story, or the message that it answers. */
function Origin({ message, scene, people }: { message: Message; scene: Scene; people: People }) {
  const { forwardedFrom, storyId, replyTo, deletedAt } = message
  if (deletedAt) return null
  return (
    <>
      {forwardedFrom && (
        <p class="msg-origin">
          <Icon of={CornerUpRight} size={14} />
          {forwardedFrom.senderId
            ? t('messages:forwardedFrom', { name: nameAmong(people, forwardedFrom.senderId) })
            : t('messages:forwarded')}
        </p>
      )}
      {storyId && (
        <p class="msg-origin">
          <Icon of={Reply} size={14} />
          {t('messages:storyReply')}
        </p>
      )}
      {replyTo && (
        <button
          type="button"
          class="msg-quote"
          onClick={() => {
            scene.jump.value = { seq: replyTo.seq }
          }}
        >
          <span class="unseen">{t('messages:inReplyTo')} </span>
          <strong dir="auto">{replyTo.senderId ? nameAmong(people, replyTo.senderId) : t('messages:answer')}</strong>
          <span class="msg-quote-text" dir="auto">
            {plainOf(replyTo.excerpt) || t('messages:noText')}
          </span>
        </button>
      )}
    </>
  )
}

function Body({ message, people }: { message: Message; people: People }) {
  const { content, attachments, deletedAt, status, mentions } = message
  const named = useMemo(() => namedBy(mentions, people), [mentions, people])
  if (deletedAt) return <p class="msg-deleted">{t('messages:deleted')}</p>
  const isStreaming = status === 'streaming'
  return (
    <>
      {attachments && <Attachments attachments={attachments} />}
      {content && <Markdown text={content} isStreaming={isStreaming} mentions={named} />}
      {isStreaming && content === '' && (
        <p class="msg-writing">
          <span class="unseen">{t('messages:writing')}</span>
        </p>
      )}
    </>
  )
}

/** Empty for most messages; the usernames of those who have left are not known here, and are not marked. */
function namedBy(mentions: Message['mentions'], people: People): Mentions {
  const entries = (mentions ?? []).map((userId): [string, boolean] => {
    const username = people.get(userId)?.username ?? (userId === myId() ? personOf(userId)?.username : undefined)
    return [username?.toLowerCase() ?? '', userId === myId()]
  })
  return new Map(entries.filter(([username]) => username !== ''))
}
