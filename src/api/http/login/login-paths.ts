/** The routes of login and logout: path → method. */
export const loginRoutes = {
  "/login": "GET",
  "/login/callback": "GET",
  "/login/options": "GET",
  "/login/token": "POST",
  "/logout": "POST",
} as const;

export type LoginPath = keyof typeof loginRoutes;
