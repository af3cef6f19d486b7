/** The pages of the handbook in their order, and what they are called in the list of contents. */

export interface Page {
  /** The file in the repository. */
  readonly source: string;
  /** The file of the site. */
  readonly file: string;
  readonly label: string;
}

export interface Chapter {
  readonly name: string;
  readonly pages: readonly Page[];
}

const page = (name: string, label: string): Page => ({
  source: `docs/${name}.md`,
  file: `${name}.html`,
  label,
});

export const chapters: readonly Chapter[] = [
  {
    name: "Start",
    pages: [
      { source: "docs/README.md", file: "index.html", label: "Contents" },
      page("quick-start", "Quick start"),
      page("concepts", "Concepts"),
      page("named-logs", "Named logs"),
      page("cursors", "Cursors"),
      page("filters", "Filters"),
      page("durable-streams", "Durable Streams"),
      page("clients", "Clients"),
      page("examples", "Examples"),
    ],
  },
  {
    name: "Reference",
    pages: [
      page("http", "HTTP"),
      page("grpc", "gRPC and Connect"),
      page("cli", "Command line"),
      page("settings", "Settings"),
      page("errors", "Errors and exit codes"),
      page("limits", "Limits"),
    ],
  },
  {
    name: "Operate",
    pages: [
      page("security", "Security"),
      page("login", "Logging in"),
      { source: "certs/README.md", file: "certificates.html", label: "Certificates" },
      { source: "deploy/README.md", file: "deploy.html", label: "systemd, Docker, Helm, Prometheus" },
      page("operations", "Operations"),
      page("monitoring", "Monitoring"),
    ],
  },
  {
    name: "Evaluate",
    pages: [
      page("durability", "Durability and consistency"),
      page("scale", "Scale"),
      page("comparison", "Comparison"),
    ],
  },
];

export const pages: readonly Page[] = chapters.flatMap((chapter) => chapter.pages);
