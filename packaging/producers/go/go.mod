module lifecycleexporter/lifecycle

go 1.19
