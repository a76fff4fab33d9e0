import './ai.css'
import { ChevronDown } from 'lucide'
import { useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { QuotaMeter } from '../billing/quota-meter.tsx'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Icon } from '../ui/icon.tsx'
import { ModelPicker } from './model-picker.tsx'
import { labelOf } from './models.ts'
import { SystemPrompt } from './system-prompt.tsx'

/** Which models answer here, by a press to be chosen anew, and what is left to ask them with. */
export function ConversationModels({ conversation }: { conversation: Conversation }) {
  const [isOpen, setOpen] = useState(false)
  const labels = (conversation.models ?? []).map(labelOf).join(' · ')
  return (
    <div class="model-line">
      <button type="button" class="model-button" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <span class="unseen">{t('ai:models')}: </span>
        <span class="model-button-labels">{labels}</span>
        <Icon of={ChevronDown} size={16} />
      </button>
      <QuotaMeter />
      {isOpen && <ModelsDialog conversation={conversation} onClose={() => setOpen(false)} />}
    </div>
  )
}

function ModelsDialog({ conversation, onClose }: { conversation: Conversation; onClose(): void }) {
  const [chosen, setChosen] = useState(conversation.models ?? [])
  const [systemPrompt, setSystemPrompt] = useState(conversation.systemPrompt ?? '')
  async function save(): Promise<void> {
    await client.command('conversation:update', { conversationId: conversation.id, models: chosen, systemPrompt })
    onClose()
  }
  return (
    <Dialog title={t('ai:models')} onClose={onClose}>
      <ModelPicker chosen={chosen} onChoose={setChosen} />
      <SystemPrompt value={systemPrompt} onValue={setSystemPrompt} />
      <div class="actions">
        <Button onPress={onClose}>{t('common:cancel')}</Button>
        <Button kind="primary" onPress={save}>
          {t('common:save')}
        </Button>
      </div>
    </Dialog>
  )
}
