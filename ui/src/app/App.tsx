import { MantineProvider } from '@mantine/core';
import { ModalsProvider } from '@mantine/modals';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';

import { asProblem } from '../api/client';
import { Live } from '../live/Live';
import { Boot } from './Boot';
import { router } from './router';
import { theme, variables } from './theme';

const RETRIES = 2;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      networkMode: 'always', // the server may be this machine
      retry: (failures, error) => failures < RETRIES && asProblem(error).passing,
    },
    mutations: { networkMode: 'always' },
  },
});

/** The word under which the page's policy lets style sheets in that are made here. */
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
setNonce(nonce);

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <QueryClientProvider client={client}>
        <ModalsProvider>
          <Notifications position="bottom-right" limit={4} />
          <Live>
            <Boot>
              <RouterProvider router={router} />
            </Boot>
          </Live>
        </ModalsProvider>
      </QueryClientProvider>
    </MantineProvider>
  );
}
