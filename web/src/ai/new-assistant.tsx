import './ai.css'
import { useEffect, useState } from 'preact/hooks'
import { newClientId } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { ModelPicker } from './model-picker.tsx'
import { loadModels } from './models.ts'
import { SystemPrompt } from './system-prompt.tsx'

/** Begins an AI chat, or a comparison where several models are chosen. */
export function NewAssistant({ onCreated }: { onCreated(conversationId: string): void }) {
  const [chosen, setChosen] = useState<string[]>([])
  const [systemPrompt, setSystemPrompt] = useState('')
  // of this form: pressed twice it begins one
  const [clientId] = useState(newClientId)
  useEffect(() => {
    void attempt(async () => {
      const [first] = await loadModels()
      if (first) setChosen([first.id])
    })
  }, [])

  async function begin(): Promise<void> {
    const created = await client.command('conversation:create', {
      type: 'assistant',
      clientId,
      models: chosen,
      ...(systemPrompt.trim() !== '' && { systemPrompt }),
    })
    onCreated(created.id)
  }

  return (
    <div class="form">
      <ModelPicker chosen={chosen} onChoose={setChosen} />
      <SystemPrompt value={systemPrompt} onValue={setSystemPrompt} />
      <div class="actions">
        <Button kind="primary" disabled={chosen.length === 0} onPress={begin}>
          {t(chosen.length > 1 ? 'ai:beginComparison' : 'ai:begin')}
        </Button>
      </div>
    </div>
  )
}
