import './ai.css'
import { GitBranch, RefreshCw, ThumbsUp } from 'lucide'
import { type Conversation, type Message, newClientId } from '../../../src/client/index.ts'
import { formatNumber, t } from '../i18n.ts'
import { navigate } from '../router.ts'
import { client } from '../state/session.ts'
import { IconButton } from '../ui/button.tsx'
import { Menu } from '../ui/menu.tsx'
import { isComparison, labelOf, models, siblingsOf } from './models.ts'
import { hasVote, vote } from './vote.ts'

/** Below the answer of a model: who wrote it, what it took, and what can be done with it. */
export function AnswerFooter({ message, conversation }: { message: Message; conversation: Conversation }) {
  const { usage, modelId } = message
  return (
    <footer class="answer-footer">
      <p class="answer-facts">
        {modelId && <span class="answer-model">{labelOf(modelId)}</span>}
        {usage && (
          <span>
            {t('ai:tokens', { input: formatNumber(usage.inputTokens), output: formatNumber(usage.outputTokens) })}
          </span>
        )}
        {usage && <span>{t('ai:credits', { count: usage.credits })}</span>}
        {usage?.processingTimeMs !== undefined && (
          <span>{t('ai:seconds', { seconds: formatNumber(Math.round(usage.processingTimeMs / 100) / 10) })}</span>
        )}
      </p>
      {message.status !== 'streaming' && <AnswerActions message={message} conversation={conversation} />}
    </footer>
  )
}

function AnswerActions({ message, conversation }: { message: Message; conversation: Conversation }) {
  const { id: messageId, conversationId, modelId } = message
  const regenerate = (other?: string) =>
    client.command('run:regenerate', {
      conversationId,
      messageId,
      clientId: newClientId(),
      ...(other !== undefined && { modelId: other }),
    })
  const others = models.value.filter(({ id }) => id !== modelId)
  return (
    <div class="answer-actions">
      {isComparison(conversation) && <VoteButton message={message} />}
      {others.length === 0 ? (
        <IconButton icon={RefreshCw} size={16} label={t('ai:regenerate')} onPress={() => regenerate()} />
      ) : (
        <Menu
          icon={RefreshCw}
          label={t('ai:regenerate')}
          items={[
            { label: t('ai:regenerateSame'), onPress: () => regenerate() },
            ...others.map(({ id, label }) => ({
              label: t('ai:regenerateWith', { label }),
              onPress: () => regenerate(id),
            })),
          ]}
        />
      )}
      {conversation.type === 'assistant' && modelId && (
        <IconButton icon={GitBranch} size={16} label={t('ai:breakout')} onPress={() => breakOut(message, modelId)} />
      )}
    </div>
  )
}

function VoteButton({ message }: { message: Message }) {
  const isChosen = hasVote(message)
  const answers = () => siblingsOf(client.store.get(message.conversationId)?.messages ?? [], message)
  return (
    <IconButton
      icon={ThumbsUp}
      size={16}
      label={t('ai:vote')}
      aria-pressed={isChosen}
      class={isChosen ? 'answer-chosen' : ''}
      onPress={() => vote(answers(), message)}
    />
  )
}

/** Goes on with this answer's model alone, in a conversation of its own. */
async function breakOut({ conversationId, id }: Message, breakoutModelId: string): Promise<void> {
  const created = await client.command('conversation:create', {
    type: 'assistant',
    // one breakout of an answer: a second press leads to it again
    clientId: `breakout ${id}`,
    parentId: conversationId,
    breakoutModelId,
    messageId: id,
  })
  navigate(`/c/${created.id}`)
}
