import { loadModels } from '../ai/models.ts'
import { t } from '../i18n.ts'
import { navigate, place } from '../router.ts'
import { client } from '../state/session.ts'

/** The same at each call: an account has one such conversation, and none again once it has deleted that. */
const clientId = 'web.welcome'

/**
 * Gives whoever has no conversation yet an AI chat to begin with, and opens it where nothing else was asked for. To be
 * called once the conversations are here. What goes wrong is not told: the page is as good without it.
 */
export async function welcome(): Promise<void> {
  if (client.store.conversations().length > 0) return
  try {
    const [model] = await loadModels()
    if (!model) return
    const { id } = await client.command('conversation:create', {
      type: 'assistant',
      clientId,
      title: t('conversations:welcomeTitle'),
      models: [model.id],
    })
    if (place.value.path === '/') navigate(`/c/${id}`)
  } catch {
    // deleted, or without a connection: the list says how to begin
  }
}
